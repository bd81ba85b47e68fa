import type { Call } from '../calls.ts';
import type { Matrix } from '../memory.ts';

/** A call with its scratch memory. */
export interface PlannedCall {
  readonly call: Call;
  readonly scratch: Matrix | null;
}
