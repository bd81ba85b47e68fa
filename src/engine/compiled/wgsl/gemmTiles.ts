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
}

/** Threads of a `lanes` workgroup: no subgroup may be smaller. */
export const LANES = 8;

export const tiles = {
  lanes16: { kind: 'lanes', rows: 16, columns: 32 },
  lanes8: { kind: 'lanes', rows: 8, columns: 32 },
  small: { kind: 'shared', rows: 32, columns: 32, threadRows: 4, threadColumns: 4 },
  tall: { kind: 'shared', rows: 64, columns: 32, threadRows: 8, threadColumns: 4 },
  large: { kind: 'shared', rows: 64, columns: 64, threadRows: 8, threadColumns: 8 },
} as const satisfies Record<string, Tile>;

/** Workgroups below which a GPU has idle cores: then smaller tiles. */
const BUSY = 128;

/** How products are cut on a device; a tuner may put its own in their place. */
export interface Tiling {
  /** Of an output of `rows` × `columns`. */
  product(rows: number, columns: number): Tile;
  /** Of a filter's gradient of `rows` × `columns`, which is cut into slices where it has fewer tiles than `enough`. */
  filter(rows: number, columns: number): Tile;
  readonly enough: number;
}

export function tilingOf(traits: DeviceTraits): Tiling {
  // On a processor a few workgroups are enough, and a slice saved is memory not written.
  if (traits.software && traits.subgroups) {
    const fewRows = (rows: number): Tile => (rows <= 8 ? tiles.lanes8 : tiles.lanes16);
    return { product: fewRows, filter: fewRows, enough: 8 };
  }
  return {
    product(rows, columns) {
      const wide = columns <= 32 ? 32 : 64;
      const groups = Math.ceil(rows / 64) * Math.ceil(columns / wide);
      if (groups < BUSY || rows <= 32) return tiles.small;
      return wide === 32 ? tiles.tall : tiles.large;
    },
    filter: (rows, columns) => (rows <= 32 || columns <= 32 ? tiles.small : tiles.large),
    enough: 512,
  };
}

export function tileKey(tile: Tile): string {
  return tile.kind === 'lanes'
    ? `lanes${tile.rows}`
    : `shared${tile.rows}x${tile.columns}-${tile.threadRows}x${tile.threadColumns}`;
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
