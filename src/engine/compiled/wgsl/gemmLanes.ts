import { repeat, type LanesTile } from './gemmTiles.ts';
import type { Product } from './product.ts';

/**
 * Eight threads, each with 4 columns of `tile.rows` rows. Thread l reads rows l, l + 8, … of the left operand, four k at a time, and all
 * take every row from the one that has it: one load of the left, four of the right and 4 · rows multiply-adds of fours a turn.
 */
export function lanesBody(product: Product, tile: LanesTile): string {
  const { rows } = tile;
  const slots = rows / 8;
  const turn = (tap: string, source: (slot: number) => string): string => `
    for (var k = 0; k < u.k4; k++) {
      let t = leftTable(k);
      ${repeat(slots, (s) => `let x${s} = left(${source(s)}, k, t);`)}
      let b = right(${tap}, k, column);
      ${repeat(
        rows,
        (i) => `{ let x = subgroupBroadcast(x${i >> 3}, ${i % 8}u);
      c${i} = fma(vec4<f32>(x.w), b[3], fma(vec4<f32>(x.z), b[2], fma(vec4<f32>(x.y), b[1], fma(vec4<f32>(x.x), b[0], c${i})))); }`,
      )}
    }`;
  return `
  if (group >= u.groups) { return; }
  let tilesN = (u.n4 + 7) / 8;
  let tileM = group / tilesN;
  let n4 = (group - tileM * tilesN) * 8 + lane;
  // A thread past the last column reads the last one and stores nothing.
  let column = min(n4, u.n4 - 1);
  ${repeat(slots, (s) => `let p${s} = place(tileM * ${rows} + ${s * 8} + lane);`)}
  ${repeat(rows, (i) => `var c${i} = vec4<f32>(0.0);`)}
  ${
    product.pointwise
      ? turn('0', (s) => `p${s}.w`)
      : `${
          product.skips
            ? `let first = place(tileM * ${rows});
  let last = place(min(tileM * ${rows} + ${rows - 1}, u.rows - 1));`
            : ''
        }
  for (var ky = 0; ky < u.kernel; ky++) { for (var kx = 0; kx < u.kernel; kx++) {
    let tap = vec2<i32>(ky, kx);
    ${product.skips ? 'if (skip(first, last, tap)) { continue; }' : ''}
    ${repeat(slots, (s) => `let r${s} = tapRow(p${s}, tap);`)}
    ${turn('ky * u.kernel + kx', (s) => `r${s}`)}
  } }`
  }
  let e = endTable(column);
  ${product.sums === 'gradient' ? 'var s = vec4<f32>(0.0); var s2 = vec4<f32>(0.0);' : ''}
  ${product.sums === 'moments' ? 'var s = vec4<f32>(0.0);' : ''}
  // From here on a loop: what it costs is little beside the sum, and compiling sixteen copies of it is dear.
  var result = array<vec4<f32>, ${rows}>(${Array.from({ length: rows }, (_, i) => `c${i}`).join(', ')});
  // The bound is a uniform, so that nobody knows it and unrolls.
  let count = min(u.tileRows, u.rows - tileM * ${rows});
  if (n4 < u.n4) {
  for (var i = 0; i < count; i++) {
    let done = finish(${product.skips ? `place(tileM * ${rows} + i).w` : `tileM * ${rows} + i`}, n4, result[i], e);
    ${product.sums === 'moments' ? 'result[i] = done.value; s += done.value;' : ''}
    ${product.sums === 'gradient' ? 's += done.value; s2 = fma(done.value, done.other, s2);' : ''}
  }
  ${
    product.sums === 'moments'
      ? `let mean = s / f32(count);
  var s2 = vec4<f32>(0.0);
  for (var i = 0; i < count; i++) { let d = result[i] - mean; s2 = fma(d, d, s2); }`
      : ''
  }
  ${
    product.sums === 'none'
      ? ''
      : `sums[2 * tileM * u.sumsStride + n4] = ${product.sums === 'moments' ? 'mean' : 's'};
    sums[(2 * tileM + 1) * u.sumsStride + n4] = s2;`
  }
  }`;
}
