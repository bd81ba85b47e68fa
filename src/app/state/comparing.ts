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

/** Hears of the newest state; ends with what it returns. */
export function onComparing(listener: (state: Comparing) => void): () => void {
  return onEvents('model', (events) => {
    const last = events.findLast(({ what }) => what === 'certifying');
    if (last === undefined) return;
    const { done: image, total, share = 0, secondsLeft = null } = last;
    listener({ image, total, share, secondsLeft });
  });
}
