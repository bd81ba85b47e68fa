import { powerOfTwoUpTo } from './loops.ts';

/**
 * Sums down columns by a whole workgroup: `u.width` adjacent lanes take adjacent fours of channels, the lanes above them the next rows.
 */
export const SUM_GROUP = 256;

/**
 * Fours of channels that a workgroup takes of `fours`, a power of 2: so few that a lane has about four rows of `count` to add up, but
 * not under `least` (adjacent lanes read adjacent memory), and not more than there are.
 */
export function sumWidth(count: number, fours: number, least: number): number {
  const wanted = Math.max(least, powerOfTwoUpTo((4 * SUM_GROUP) / count));
  return Math.min(64, wanted, powerOfTwoUpTo(2 * fours - 1));
}

/** `Part` with these fields, `merged(a, b)` as given, and room for a workgroup's parts, `parts`. */
export function partCode(fields: Readonly<Record<string, string>>, merge: string): string {
  return `
struct Part { ${Object.entries(fields)
    .map(([name, type]) => `${name} : ${type}`)
    .join(', ')} }
var<workgroup> parts : array<Part, ${SUM_GROUP}>;
fn merged(a : Part, b : Part) -> Part { ${merge} }`;
}

/**
 * `partCode`, and `reduced(part, lane, width)`: in lanes 0 … width − 1 (a power of 2) the parts of all lanes of the same column, merged in
 * a fixed order. All lanes must call it.
 */
export function sumCode(fields: Readonly<Record<string, string>>, merge: string): string {
  return `${partCode(fields, merge)}
fn reduced(part : Part, lane : i32, width : i32) -> Part {
  var sum = part;
  parts[lane] = part;
  workgroupBarrier();
  // In two steps: barriers cost more than a few additions.
  let middle = max(16, width);
  if (lane < middle) {
    for (var other = lane + middle; other < ${SUM_GROUP}; other += middle) { sum = merged(sum, parts[other]); }
    parts[lane] = sum;
  }
  workgroupBarrier();
  if (lane < width) {
    for (var other = lane + width; other < middle; other += width) { sum = merged(sum, parts[other]); }
  }
  return sum;
}`;
}

/**
 * A lane's walk down its column: merges `at(row)` of the rows `own`, `own + lanes`, … below `count` into `part`. `at` is asked for some rows
 * from `count` on, too, and must give what changes nothing there. Four loads are under way at a time, in no branch: each alone would wait
 * for the one before, a thousand cycles of a GPU.
 */
export function walk(at: (row: string) => string, own: string, lanes: string, count: string): string {
  return `
    for (var row = ${own}; row < ${count}; row += 4 * (${lanes})) {
      let part0 = ${at('row')};
      let part1 = ${at(`row + (${lanes})`)};
      let part2 = ${at(`row + 2 * (${lanes})`)};
      let part3 = ${at(`row + 3 * (${lanes})`)};
      part = merged(part, merged(merged(part0, part1), merged(part2, part3)));
    }`;
}

/** Merges parts by adding field to field. */
export const addition = (...fields: readonly string[]): string =>
  `return Part(${fields.map((field) => `a.${field} + b.${field}`).join(', ')});`;
