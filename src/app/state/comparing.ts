import type { ModelEvent, WorkId } from '../../workers/protocol.ts';
import { onEvents } from './workers.svelte.ts';

/** How far the comparison of a written file with the trained network is. */
export interface Comparing {
  /** The one under way, from 1 on, of `total`. */
  readonly image: number;
  readonly total: number;
  /** Of all work, 0–1. */
  readonly share: number;
  /** Null until that can be told. */
  readonly secondsLeft: number | null;
}

/** Hears the newest event of a work; ends with what it returns. */
export function onWork(workId: WorkId, listener: (event: ModelEvent) => void): () => void {
  return onEvents('model', (events) => {
    const last = events.findLast((event) => event.workId === workId);
    if (last !== undefined) listener(last);
  });
}

export function comparingOf({ done: image, total, share = 0, secondsLeft }: ModelEvent): Comparing {
  return { image, total, share, secondsLeft: secondsLeft ?? null };
}
