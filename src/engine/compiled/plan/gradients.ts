import type { Call, Partials } from '../calls.ts';
import { matrix, whole, type Element, type Matrix, type View } from '../memory.ts';
import type { Draft } from './draft.ts';
import { memoriesOf } from './memoriesOf.ts';

/** The gradient of a node's value, as its readers have left it: the sum of the parts that are not null. */
export interface Parts {
  /** In memory. */
  plain: View | null;
  /** `view · factor[image]`. */
  factored: { readonly view: View; readonly factor: View } | null;
  /** Of a mean over all pixels, `[images, channels]`. */
  pooled: View | null;
  /** Already that of z (before the activation), with its sums. Then there is nothing else. `view` null: a · dz is in the block's gradient. */
  dz: { readonly view: View | null; readonly sums: Partials } | null;
}

/** What readers of a node's value leave for it, and who else looks at the memory in which it lies. */
export interface Gradients {
  of(node: string): Parts;
  /**
   * Adds a part by a call that writes `[rows, channels]`. `make` is told where, and whether to add to what is there; `canAdd`: whether it
   * is able to.
   */
  add(
    node: string,
    rows: number,
    channels: number,
    canAdd: boolean,
    make: (out: View, accumulate: boolean) => Call,
  ): void;
  /** Adds what is in memory already, and may be somebody else's too. */
  share(node: string, view: View): void;
  /** Hands the memory on to a node that has nothing yet: `view` is written in place. Only where `isFree`. */
  move(node: string, view: View): void;
  /** Nobody else waits for what is in this matrix, and it is no block's. */
  isFree(view: View): boolean;
  /** Whether `node` can take over memory. */
  takesOver(node: string): boolean;
  /** One more who waits for what is in a matrix, and one less. */
  hold(view: View): void;
  release(view: View | null): void;
  /** Where a node's gradient lies in that of its block; null: it is in none. */
  placeOf(node: string): View | null;
  /**
   * Where a norm of `x`, the value of `node`, may have its a · dz written at once, from `dy`: every layer of a dense block reads all channels
   * before it, and what else is in dx, b · x + d, is linear in the x that they share. Null where `x` lies in no block, or `dy` in the gradient
   * of the same.
   */
  partOfDx(node: string, x: View, dy: View): { readonly out: View; readonly accumulate: boolean } | null;
  /** Where that norm leaves b and d, for `settle`, and whether others' are there. In the norm's turn. */
  restOfDx(node: string): { readonly coefficients: View; readonly of: 'rest' | 'added' };
  /** Adds what norms have left to a part of a block's gradient. */
  settle(node: string, view: View): void;
}

/** Of a block's gradient; `written` and `waiting` tell of each four of its channels. */
interface Block {
  readonly value: Matrix;
  readonly matrix: Matrix;
  readonly written: boolean[];
  /** a is 1; b and d: sums of what norms have left. */
  readonly coefficients: Matrix;
  /** Something is left there that is not yet added to the gradient. */
  readonly waiting: boolean[];
}

/**
 * `blockPlaceOf`: nodes whose raw value lies in a block; their gradient lies in the block's, at the same channels. `elementOf`: what a
 * gradient of so many rows is kept in.
 */
export function createGradients(
  draft: Draft,
  blockPlaceOf: ReadonlyMap<string, View>,
  elementOf: (rows: number) => Element,
): Gradients {
  const parts = new Map<string, Parts>();
  const readers = new Map<Matrix, number>();
  const blocks = new Map<Matrix, Block>();
  const blockOf = (of: Matrix): Block => {
    let block = blocks.get(of);
    if (!block) {
      const none = (): boolean[] => new Array<boolean>(of.channels / 4).fill(false);
      block = {
        value: of,
        matrix: matrix(`${of.name} gradient`, of.rows, of.channels, of.element),
        written: none(),
        coefficients: matrix(`${of.name} coefficients`, 4, of.channels),
        waiting: none(),
      };
      blocks.set(of, block);
    }
    return block;
  };
  const ownMatrix = (name: string, rows: number, channels: number): View =>
    whole(matrix(name, rows, channels, elementOf(rows)));
  const isBlock = (matrix: Matrix): boolean => [...blocks.values()].some((block) => block.matrix === matrix);
  const count = (matrix: Matrix, by: number): void => void readers.set(matrix, (readers.get(matrix) ?? 0) + by);

  /** Where the next part of a node's gradient goes, and whether something is there. */
  const destination = (node: string, rows: number, channels: number): { out: View; accumulate: boolean } => {
    const place = blockPlaceOf.get(node);
    if (place) {
      const { matrix, written } = blockOf(place.matrix);
      const out: View = { ...place, matrix };
      const fours = written.slice(place.first / 4, (place.first + place.channels) / 4);
      const accumulate = fours.some(Boolean);
      if (accumulate) {
        for (const [i, done] of fours.entries()) {
          const view: View = { matrix, first: place.first + 4 * i, channels: 4 };
          if (!done) draft.emit({ kind: 'fill', node, out: view, value: 0 });
        }
      }
      written.fill(true, place.first / 4, (place.first + place.channels) / 4);
      return { out, accumulate };
    }
    const entry = gradients.of(node);
    if (entry.plain === null) {
      entry.plain = ownMatrix(`${node} gradient`, rows, channels);
      count(entry.plain.matrix, 1);
      return { out: entry.plain, accumulate: false };
    }
    if (!gradients.isFree(entry.plain)) {
      const copy = ownMatrix(`${node} gradient`, rows, channels);
      draft.emit(materialise(node, entry.plain, copy, false));
      count(entry.plain.matrix, -1);
      count(copy.matrix, 1);
      entry.plain = copy;
    }
    return { out: entry.plain, accumulate: true };
  };

  const gradients: Gradients = {
    of(node) {
      let entry = parts.get(node);
      if (!entry) parts.set(node, (entry = { plain: null, factored: null, pooled: null, dz: null }));
      return entry;
    },
    add(node, rows, channels, canAdd, make) {
      const { out, accumulate } = destination(node, rows, channels);
      const call = make(out, accumulate);
      const reads = [...memoriesOf(make(whole(matrix('elsewhere', 1, 4)), accumulate))];
      if ((!accumulate || canAdd) && !reads.includes(out.matrix)) return draft.emit(call);
      const apart = ownMatrix(`${node} gradient, a part`, rows, channels);
      draft.emit(make(apart, false));
      draft.emit(materialise(node, apart, out, accumulate));
    },
    share(node, view) {
      const entry = gradients.of(node);
      if (blockPlaceOf.has(node) || entry.plain !== null) {
        const { out, accumulate } = destination(node, view.matrix.rows, view.channels);
        let from = view;
        // Both in one block: a value that a concatenation has twice.
        if (from.matrix === out.matrix) {
          from = ownMatrix(`${node} gradient, a part`, view.matrix.rows, view.channels);
          draft.emit(materialise(node, view, from, false));
        }
        draft.emit(materialise(node, from, out, accumulate));
      } else {
        entry.plain = view;
        count(view.matrix, 1);
      }
    },
    move(node, view) {
      gradients.of(node).plain = view;
      count(view.matrix, 1);
    },
    isFree: ({ matrix }) => !isBlock(matrix) && (readers.get(matrix) ?? 0) <= 1,
    takesOver: (node) => !blockPlaceOf.has(node) && gradients.of(node).plain === null,
    hold: ({ matrix }) => count(matrix, 1),
    release(view) {
      if (view) count(view.matrix, -1);
    },
    placeOf(node) {
      const place = blockPlaceOf.get(node);
      return place ? { ...place, matrix: blockOf(place.matrix).matrix } : null;
    },
    partOfDx(node, x, dy) {
      const place = blockPlaceOf.get(node);
      if (place?.matrix !== x.matrix || place.first !== x.first || place.channels !== x.channels) return null;
      return dy.matrix === blockOf(place.matrix).matrix ? null : destination(node, x.matrix.rows, x.channels);
    },
    restOfDx(node) {
      const place = blockPlaceOf.get(node)!;
      const block = blockOf(place.matrix);
      const [from, to] = [place.first / 4, (place.first + place.channels) / 4];
      const added = block.waiting.slice(from, to).every(Boolean);
      if (!added) gradients.settle(node, { ...place, matrix: block.matrix });
      block.waiting.fill(true, from, to);
      return { coefficients: { ...place, matrix: block.coefficients }, of: added ? 'added' : 'rest' };
    },
    settle(node, { matrix, first, channels }) {
      const block = [...blocks.values()].find((one) => one.matrix === matrix);
      if (!block) return;
      const end = first + channels;
      for (let at = first; at < end; at += 4) {
        if (!block.waiting[at / 4]) continue;
        const from = at;
        for (; at < end && block.waiting[at / 4]; at += 4) block.waiting[at / 4] = false;
        const part = (of: Matrix): View => ({ matrix: of, first: from, channels: at - from });
        const [dx, x, coefficients] = [part(matrix), part(block.value), part(block.coefficients)];
        draft.emit({ kind: 'normApply', node, dz: dx, x, coefficients, out: dx, accumulate: false });
      }
    },
  };
  return gradients;
}

function materialise(node: string, from: View, out: View, accumulate: boolean): Call {
  const source = { view: from, norm: null, activation: 'none', factor: null } as const;
  return { kind: 'materialise', node, images: from.matrix.rows, pixels: 1, source, out, accumulate };
}
