/**
 * How threads share the fours of a matrix: adjacent threads take adjacent fours of channels, each goes down its column by more than one
 * row where there are rows enough, so that it loads once what all rows of a channel share.
 */
const GROUP = 64;
/** As many as keep a large GPU busy, with a few loads each under way. */
const THREADS = 65_536;
const MOST_ROWS = 8;

interface Loop {
  readonly integers: Readonly<Record<string, number>>;
  readonly workgroups: number;
}

/** For `rowLoop`. */
export function rowThreads(rows: number, channels: number): Loop {
  const fours = channels / 4;
  const each = Math.min(MOST_ROWS, Math.max(1, Math.floor((rows * fours) / THREADS)));
  const rowStep = Math.ceil(rows / each);
  return { integers: { rows, fours, rowStep }, workgroups: Math.ceil((rowStep * fours) / GROUP) };
}

/** `each` sees `row` and `c4`; `before`, once a thread, `c4`. */
export function rowLoop(each: string, before = ''): string {
  return `
  let c4 = index % u.fours;
  let firstRow = index / u.fours;
  if (firstRow >= u.rowStep) { return; }
  ${before}
  for (var row = firstRow; row < u.rows; row += u.rowStep) {
    ${each}
  }`;
}

/** Rows of a tile whose sums one thread makes: so few that there are threads enough, so many that the sums are few beside the rows. */
export function tileRowsOf(rows: number, channels: number): number {
  const wanted = (rows * (channels / 4)) / THREADS;
  return Math.min(64, Math.max(8, powerOfTwoUpTo(wanted)));
}

/** For `tileLoop`. */
export function tileThreads(
  rows: number,
  channels: number,
  { tiles, tileRows }: { readonly tiles: number; readonly tileRows: number },
): Loop {
  const fours = channels / 4;
  return { integers: { rows, fours, tiles, tileRows }, workgroups: Math.ceil((tiles * fours) / GROUP) };
}

/**
 * One thread a tile and four channels. `each` sees `row` and `c4`; `before` and `after`, once a thread, `c4`, `tile` and its rows,
 * `begin … end − 1`.
 */
export function tileLoop(before: string, each: string, after: string): string {
  return `
  let c4 = index % u.fours;
  let tile = index / u.fours;
  if (tile >= u.tiles) { return; }
  let begin = tile * u.tileRows;
  let end = min(u.rows, begin + u.tileRows);
  ${before}
  for (var row = begin; row < end; row++) {
    ${each}
  }
  ${after}`;
}

/** The largest power of 2 ≤ value; at least 1. */
export function powerOfTwoUpTo(value: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, value)));
}
