import type { NormTableOfBatch, Partials, Statistics } from '../calls.ts';
import { matrix, type Matrix, type View } from '../memory.ts';
import type { Draft } from './draft.ts';

/**
 * Mean and variance of each channel of each matrix, made once however many norms read them: in a dense block every layer's norm reads
 * the channels of all layers before.
 */
export interface Moments {
  /** A kernel has made partials beside the values of `view`. */
  made(view: View, partials: Partials): void;
  /** What a norm of `view` needs; statistics that nobody has made are asked for. */
  of(view: View, node: string): { fresh: NormTableOfBatch['fresh']; of: Matrix };
}

interface Waiting {
  readonly first: number;
  readonly channels: number;
  readonly partials: Partials;
}

export function createMoments(draft: Draft): Moments {
  const known = new Map<Matrix, { readonly moments: Matrix; readonly done: boolean[]; waiting: Waiting[] }>();
  const entryOf = (of: Matrix) => {
    let entry = known.get(of);
    if (!entry) {
      const moments = matrix(`${of.name} moments`, 2, of.channels);
      known.set(of, (entry = { moments, done: new Array<boolean>(of.channels / 4).fill(false), waiting: [] }));
    }
    return entry;
  };
  return {
    made({ matrix, first, channels }, partials) {
      entryOf(matrix).waiting.push({ first, channels, partials });
    },
    of({ matrix, first, channels }, node) {
      const entry = entryOf(matrix);
      const missing: number[] = [];
      for (let four = first / 4; four < (first + channels) / 4; four++) if (!entry.done[four]) missing.push(four);
      if (missing.length === 0) return { fresh: null, of: entry.moments };
      const from = missing[0]! * 4;
      const to = (missing.at(-1)! + 1) * 4;
      const exact = entry.waiting.find((one) => one.first === from && one.first + one.channels === to);
      const fresh = exact ?? {
        first: from,
        channels: to - from,
        partials: asked({ matrix, first: from, channels: to - from }, node),
      };
      entry.waiting = entry.waiting.filter((one) => one.first < from || one.first + one.channels > to);
      entry.done.fill(true, from / 4, to / 4);
      return { fresh, of: entry.moments };
    },
  };

  function asked(view: View, node: string): Partials {
    const none: Partials = { matrix: view.matrix, tiles: 0, tileRows: 1 };
    const call: Statistics = { kind: 'statistics', node, view, partials: none };
    const partials = draft.partials(call, view.matrix.rows, view.channels);
    if (!partials) throw new Error('The kernel of statistics makes no partials.');
    draft.emit({ ...call, partials });
    return partials;
  }
}
