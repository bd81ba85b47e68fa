import type { ProfileRow } from './types.ts';

/** Some dispatches of a step together. */
export interface ProfileSum {
  readonly name: string;
  readonly dispatches: number;
  readonly milliseconds: number;
  readonly flops: number;
  readonly bytes: number;
}

/** Dispatches summed by what they share; the dearest first, and by name where they are equal. */
export function summed(rows: readonly ProfileRow[], nameOf: (row: ProfileRow) => string): ProfileSum[] {
  const sums = new Map<string, { -readonly [K in keyof ProfileSum]: ProfileSum[K] }>();
  for (const row of rows) {
    const name = nameOf(row);
    let sum = sums.get(name);
    if (!sum) sums.set(name, (sum = { name, dispatches: 0, milliseconds: 0, flops: 0, bytes: 0 }));
    sum.dispatches++;
    sum.milliseconds += row.milliseconds;
    sum.flops += row.flops;
    sum.bytes += row.bytes;
  }
  return [...sums.values()].sort((a, b) => b.milliseconds - a.milliseconds || (a.name < b.name ? -1 : 1));
}
