import type { CallOf } from '../calls.ts';
import type { PlannedCall } from '../plan/types.ts';
import { productKernels } from '../wgsl/kernels.ts';
import { tiles, type Tiling } from '../wgsl/gemmTiles.ts';

/** The calls that are products of matrices: what most of a step's time goes to, and what can be cut in many ways. */
export type Product = CallOf<'conv'> | CallOf<'convInputGradient'> | CallOf<'convFilterGradient'>;

/** `rows` × `depth` by `depth` × `columns`. */
export interface Shape {
  readonly kind: Product['kind'];
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

/** A product that stands for all of its class in a step. */
export interface Contest {
  /** Its class: `classOf`. */
  readonly key: string;
  readonly call: Product;
  readonly shape: Shape;
  /** Operations of this one. */
  readonly flops: number;
}

/** What a product's kernel asks a tiling of. */
export function shapeOf(call: Product): Shape {
  let asked: Shape | null = null;
  const listening: Tiling = {
    product: (shape) => {
      asked = shape;
      return tiles.small;
    },
    filter: (shape) => {
      asked = { kind: 'convFilterGradient', ...shape };
      return { tile: tiles.small, enough: 1 };
    },
  };
  const kernels = productKernels(listening);
  if (call.kind === 'conv') kernels.conv.tileRows!(call);
  else if (call.kind === 'convInputGradient') kernels.convInputGradient.tileRows!(call);
  else kernels.convFilterGradient.scratch!(call);
  return asked!;
}

/**
 * Shapes that are cut alike, named by the largest of them: `conv 131072×128×256`. What is measured of one counts for all. Up to 128 in
 * steps of 32, as tiles are wide; beyond in powers of two.
 */
export function classOf({ kind, rows, columns, depth }: Shape): string {
  return `${kind} ${[rows, columns, depth].map(step).join('×')}`;
}

function step(size: number): number {
  const units = Math.ceil(size / 32);
  return 32 * (units <= 4 ? Math.max(1, units) : 2 ** Math.ceil(Math.log2(units)));
}

/** One product of each class, of the kind that the class spends the most operations on; the dearest class first. */
export function contestsOf(calls: readonly PlannedCall[], flopsOf: (call: Product) => number): Contest[] {
  const alike = new Map<string, { readonly contest: Contest; times: number }>();
  for (const { call } of calls) {
    if (!isProduct(call)) continue;
    const shape = shapeOf(call);
    const name = JSON.stringify([shape, variantOf(call)]);
    const there = alike.get(name);
    if (there) there.times++;
    else alike.set(name, { contest: { key: classOf(shape), call, shape, flops: flopsOf(call) }, times: 1 });
  }
  const classes = new Map<string, { dearest: Contest; most: number; sum: number }>();
  for (const { contest, times } of alike.values()) {
    const flops = times * contest.flops;
    const known = classes.get(contest.key) ?? { dearest: contest, most: 0, sum: 0 };
    if (flops > known.most) Object.assign(known, { dearest: contest, most: flops });
    known.sum += flops;
    classes.set(contest.key, known);
  }
  return [...classes.values()].sort((a, b) => b.sum - a.sum).map(({ dearest }) => dearest);
}

/** What else tells two products apart: more is loaded, or more is made. */
function variantOf(call: Product): readonly unknown[] {
  const { kernel, stride, height } = call;
  const extras =
    call.kind === 'convInputGradient'
      ? [call.epilogue !== null, call.epilogue?.partOfDx ?? false, call.accumulate]
      : [call.source.norm !== null, call.kind === 'conv' && call.statistics !== null];
  return [kernel, stride, height, ...extras];
}

export function isProduct(call: { readonly kind: string }): call is Product {
  return call.kind === 'conv' || call.kind === 'convInputGradient' || call.kind === 'convFilterGradient';
}
