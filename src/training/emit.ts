import type { RunEvent } from './events.ts';

type WithoutTime<E> = E extends unknown ? Omit<E, 'at'> : never;
export type UntimedEvent = WithoutTime<RunEvent>;
export type Emit = (event: UntimedEvent) => void;
