import type { DeviceTraits } from '../kernels.ts';

/**
 * How a product of matrices is cut into workgroups. Two generators:
 *
 * `lanes`: eight threads a workgroup, no workgroup memory, no barrier. A thread has `rows` rows of 4 columns; the eight load the left
 * operand together and hand it round (subgroupBroadcast of a constant lane), each loads its own columns of the right one. What a processor
 * that plays a GPU wants. Measured on lavapipe (8 lanes): 1024³ runs at 2.5–4 times the rate of the best `shared` tile, and at three
 * times that of the same loop with loads of a uniform address in place of broadcasts.
 *
 * `shared`: tiles of both operands in workgroup memory, 4×4 to 8×8 outputs a thread. What a GPU wants; on lavapipe it was tested, and
 * measured only as the loser.
 */
export type Tile = LanesTile | SharedTile;

export interface LanesTile {
  readonly kind: 'lanes';
  /** Multiple of 8. */
  readonly rows: number;
  readonly columns: 32;
}

export interface SharedTile {
  readonly kind: 'shared';
  readonly rows: number;
  readonly columns: number;
  /** Of one thread; multiples of 4. */
  readonly threadRows: number;
  readonly threadColumns: number;
  /** Of the sum, between two barriers; a multiple of 4. */
  readonly depth: number;
  /** What is multiplied next is loaded meanwhile: more registers, less waiting. */
  readonly ahead: boolean;
}

/** Threads of a `lanes` workgroup: no subgroup may be smaller. */
export const LANES = 8;

interface Options {
  readonly depth?: number;
  readonly ahead?: boolean;
}
const shared = (
  rows: number,
  columns: number,
  threadRows: number,
  threadColumns: number,
  { depth = 16, ahead = false }: Options = {},
): SharedTile => ({ kind: 'shared', rows, columns, threadRows, threadColumns, depth, ahead });
const ahead = true;

export const tiles = {
  lanes16: { kind: 'lanes', rows: 16, columns: 32 },
  lanes8: { kind: 'lanes', rows: 8, columns: 32 },
  small: shared(32, 32, 4, 4, { depth: 32 }),
  smallAhead: shared(32, 32, 4, 4, { depth: 32, ahead }),
  tall: shared(64, 32, 4, 4, { ahead }),
  wide: shared(32, 64, 4, 4, { ahead }),
  tower: shared(128, 32, 8, 4, { ahead }),
  large: shared(64, 64, 8, 4),
  largeAhead: shared(64, 64, 8, 4, { ahead }),
  larger: shared(128, 64, 8, 8),
  broad: shared(64, 128, 8, 8),
} as const satisfies Record<string, Tile>;

/** What a tuner tries, beside the usual; all keep to 256 threads and 16 KiB of workgroup memory. */
export const productTiles: readonly SharedTile[] = [
  tiles.small,
  tiles.smallAhead,
  tiles.tall,
  tiles.wide,
  tiles.large,
  tiles.largeAhead,
  tiles.larger,
  tiles.broad,
];
export const filterTiles: readonly SharedTile[] = [
  tiles.smallAhead,
  tiles.tower,
  tiles.large,
  tiles.largeAhead,
  shared(64, 32, 8, 4, { ahead }),
  shared(64, 128, 8, 8, { ahead }),
];
export const sharedTiles: readonly SharedTile[] = [...new Set([...productTiles, ...filterTiles])];

/** What a convolution or its input gradient is as a product: `rows` × `depth` by `depth` × `columns`. */
export interface ProductShape {
  readonly kind: 'conv' | 'convInputGradient';
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

/** The same of a filter's gradient. */
export interface FilterShape {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

export interface FilterCut {
  readonly tile: Tile;
  /** The sum is cut into slices where there are fewer workgroups. */
  readonly enough: number;
}

/** Workgroups below which a GPU has idle cores: then smaller tiles. */
const BUSY = 200;
/** Operations below which a filter's gradient is one of few and small: then smaller tiles as well. */
const FEW = 1e9;

/** How products are cut on a device; a tuner may put its own in their place. */
export interface Tiling {
  product(shape: ProductShape): Tile;
  filter(shape: FilterShape): FilterCut;
}

export function tilingOf(traits: DeviceTraits): Tiling {
  // On a processor a few workgroups are enough, and a slice saved is memory not written.
  if (traits.software && traits.subgroups) {
    const fewRows = (rows: number): Tile => (rows <= 8 ? tiles.lanes8 : tiles.lanes16);
    return { product: ({ rows }) => fewRows(rows), filter: ({ rows }) => ({ tile: fewRows(rows), enough: 8 }) };
  }
  // On an H200 (docs/benchmarks.md), each of three networks at batch 32: its products take a tenth more at most than with each one's best.
  return {
    product({ rows, columns }) {
      const isBusy = (tile: SharedTile): boolean => groupsOf(tile, rows, columns) >= BUSY;
      if (columns > 32 && isBusy(tiles.largeAhead)) return tiles.largeAhead;
      return isBusy(tiles.tall) ? tiles.tall : tiles.small;
    },
    filter({ rows, columns, depth }) {
      const isFew = rows <= 32 || 2 * rows * columns * depth < FEW;
      return { tile: isFew ? tiles.smallAhead : columns <= 32 ? tiles.tower : tiles.large, enough: 512 };
    },
  };
}

export function tileKey(tile: Tile): string {
  return tile.kind === 'lanes'
    ? `lanes${tile.rows}`
    : `shared${tile.rows}x${tile.columns}-${tile.threadRows}x${tile.threadColumns}${tile.depth === 16 ? '' : `x${tile.depth}`}${tile.ahead ? '-ahead' : ''}`;
}

export function threadsOf(tile: Tile): number {
  return tile.kind === 'lanes' ? LANES : (tile.rows / tile.threadRows) * (tile.columns / tile.threadColumns);
}

export function groupsOf(tile: Tile, rows: number, columns: number): number {
  return Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns);
}

/** `text(0) … text(n − 1)`, a line each. */
export function repeat(n: number, text: (i: number) => string): string {
  return Array.from({ length: n }, (_, i) => text(i)).join('\n');
}
