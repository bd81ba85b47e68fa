import { partCode, SUM_GROUP } from './workgroupSum.ts';

/**
 * Kernels whose threads make tiles of a map and that add up over rows beside: a workgroup takes whole lines of one image, so that what it
 * adds up are adjacent rows, and some fours of channels, adjacent lanes adjacent ones.
 */
export const TILE_GROUP = SUM_GROUP;

export interface Tiles {
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly fours: number;
  /** Results a thread makes at a time, down and across. */
  readonly down: number;
  readonly across: number;
}

export interface TileGroups {
  /** Fours of channels a workgroup, and workgroups for all. */
  readonly lanes: number;
  readonly chunks: number;
  /** Tiles that a workgroup makes at a time. */
  readonly places: number;
  /** Workgroups an image, each of so many lines. */
  readonly bands: number;
  readonly lines: number;
}

/** Leaves as few threads idle as it can; of equals, the widest. */
export function tileGroups({ height, width, fours, down, across }: Tiles): TileGroups {
  const tilesX = Math.ceil(width / across);
  // A tile lies in one band.
  const heights = divisors(height).filter((lines) => lines % down === 0 || lines === height);
  let best: TileGroups | null = null;
  let bestUse = 0;
  for (let chunks = Math.ceil(fours / MOST_LANES); chunks <= fours; chunks++) {
    const lanes = Math.ceil(fours / chunks);
    if (best && lanes < LEAST_LANES) break;
    const places = Math.floor(TILE_GROUP / lanes);
    const tilesOf = (lines: number): number => Math.ceil(lines / down) * tilesX;
    const lines = heights.findLast((one) => tilesOf(one) <= places) ?? heights[0]!;
    const passes = Math.ceil(tilesOf(lines) / places);
    const use = (fours * tilesOf(lines)) / (chunks * TILE_GROUP * passes);
    if (use > bestUse) {
      best = { lanes, chunks, places, bands: height / lines, lines };
      bestUse = use;
    }
  }
  return best!;
}

/** Lanes read 16 bytes each: 64 bytes at least in one go. */
const LEAST_LANES = 4;
const MOST_LANES = 64;

function divisors(of: number): number[] {
  return Array.from({ length: of }, (_, i) => i + 1).filter((one) => of % one === 0);
}

/** Sums in `Part`, one a thread, to one a four of channels. Needs `lane`, `place`, `u.lanes` and `u.places`. */
export interface TilePart {
  /** Declares `Part`. */
  readonly declarations: string;
  /** Uniform control flow: the sum is in `part` where place is 0. */
  readonly reduce: string;
}

/** `merge` is the body of `merged(a, b)`. */
export function tilePart(fields: Readonly<Record<string, string>>, merge: string): TilePart {
  return {
    declarations: partCode(fields, merge),
    // In two steps, always in the same order.
    reduce: `
  parts[lane] = part;
  workgroupBarrier();
  if (place < ${FIRST}) {
    for (var other = place + ${FIRST}; other < u.places; other += ${FIRST}) {
      part = merged(part, parts[other * u.lanes + lane % u.lanes]);
    }
    parts[lane] = part;
  }
  workgroupBarrier();
  if (place == 0) {
    for (var other = 1; other < min(${FIRST}, u.places); other++) {
      part = merged(part, parts[other * u.lanes + lane]);
    }
  }`,
  };
}

const FIRST = 8;
