import { repeat, threadsOf, type SharedTile } from './gemmTiles.ts';
import type { Product } from './product.ts';

/**
 * Tiles of both operands in workgroup memory, `tile.depth` k at a time. Taps and channels are one flat index k, cut into chunks without
 * regard to where a tap ends, so that few channels waste nothing. Of each place in a tile all indices but one are constants: a device
 * checks the others, and works them out, every time. `tile.ahead`: the next chunk is loaded while this one is multiplied. Thread (y, x) has rows y, y + threadsY, … and fours of columns x, x + threadsX, ….
 */
export function sharedBody(
  product: Product,
  tile: SharedTile,
): { readonly declarations: string; readonly body: string } {
  const threads = threadsOf(tile);
  const threadsX = tile.columns / tile.threadColumns;
  const threadsY = tile.rows / tile.threadRows;
  const columns4 = tile.columns / 4;
  const depth4 = tile.depth / 4;
  const tm = tile.threadRows;
  const tm4 = tm / 4;
  const tn4 = tile.threadColumns / 4;
  // Both tiles come in blocks of 4 × 4. Where threads are enough for all of them, some load the left one and some the right one.
  const leftBlocks = (tile.rows / 4) * depth4;
  const rightBlocks = columns4 * depth4;
  const leftSlots = Math.ceil(leftBlocks / threads);
  const rightSlots = Math.ceil(rightBlocks / threads);
  const rightFrom = leftBlocks + rightBlocks <= threads ? leftBlocks : 0;
  if (threads % depth4 !== 0) throw new Error('Threads do not share out the left tile.');
  const each = (text: (i: number, j: number) => string): string => repeat(tm, (i) => repeat(tn4, (j) => text(i, j)));
  /** Row in the tile of a thread's i-th row. */
  const rowIn = (i: number): string => `((y + ${(i >> 2) * threadsY}) * 4 + ${i & 3})`;
  // Rows of a tile that lies across phases are looked at tap by tap: what comes next is known too late.
  const ahead = tile.ahead && !product.skips;
  // Neighbouring threads read neighbouring memory.
  const block =
    product.rightAlong === 'n'
      ? `let bk = e / ${columns4}; let bn = e % ${columns4};`
      : `let bk = e % ${depth4}; let bn = e / ${depth4};`;
  const guarded = (lane: string, blocks: number, slot: number, text: string): string => {
    const all = (slot + 1) * threads <= blocks && lane === 'lane';
    const inside = lane === 'lane' ? `e < ${blocks}` : `e >= 0 && e < ${blocks}`;
    return `{ let e = ${lane} + ${slot * threads}; ${all ? text : `if (${inside}) { ${text} }`} }`;
  };
  const ofLeft = (slot: number, text: string): string => guarded('lane', leftBlocks, slot, text);
  const ofRight = (slot: number, text: string): string =>
    guarded(rightFrom > 0 ? `lane - ${rightFrom}` : 'lane', rightBlocks, slot, text);
  /** From memory into this thread's `l…` and `r…`; then its k is the next chunk's. */
  const fetch = (chunk: string): string => `{
      ${
        product.pointwise
          ? `let inside = c4 < u.k4;`
          : `let inside = flatTap < u.kernel * u.kernel;
      let tapY = flatTap / u.kernel;
      let tap = vec2<i32>(tapY, flatTap - tapY * u.kernel);`
      }
      let t = leftTable(min(c4, u.k4 - 1));
      ${repeat(leftSlots, (s) =>
        ofLeft(
          s,
          `l${s} = mat4x4<f32>(${[0, 1, 2, 3]
            .map(
              (i) =>
                `left(select(-1, ${product.pointwise ? `p${s}_${i}.w` : `tapRow(p${s}_${i}, tap)`}, inside), c4, t)`,
            )
            .join(', ')});`,
        ),
      )}
      ${repeat(rightSlots, (s) =>
        ofRight(s, `${block} r${s} = rightOrNothing((${chunk}) * ${depth4} + bk, tileN * ${columns4} + bn);`),
      )}
    }`;
  const advance = product.pointwise
    ? `c4 += ${depth4};`
    : `flatTap += stepTap; c4 += stepC4;
    if (c4 >= u.k4) { c4 -= u.k4; flatTap++; }`;
  const store = `
    ${repeat(leftSlots, (s) =>
      ofLeft(
        s,
        `let bk = e % ${depth4}; let bm = e / ${depth4};
      let across = transpose(l${s});
      ${repeat(4, (i) => `leftTile[bm / ${threadsY}][bk * 4 + ${i}][bm % ${threadsY}] = across[${i}];`)}`,
      ),
    )}
    ${repeat(rightSlots, (s) =>
      ofRight(
        s,
        `${block}
      ${repeat(4, (i) => `rightTile[bn / ${threadsX}][bk * 4 + ${i}][bn % ${threadsX}] = r${s}[${i}];`)}`,
      ),
    )}`;
  const multiply = repeat(
    tile.depth,
    (k) => `{
      ${repeat(tm4, (i) => `let a${i} = leftTile[${i}][${k}][y];`)}
      ${repeat(tn4, (j) => `let b${j} = rightTile[${j}][${k}][x];`)}
      ${each((i, j) => `c${i}_${j} = fma(vec4<f32>(a${i >> 2}[${i & 3}]), b${j}, c${i}_${j});`)}
    }`,
  );

  const declarations = `
var<workgroup> leftTile : array<array<array<vec4<f32>, ${threadsY + 1}>, ${tile.depth}>, ${tm4}>;
var<workgroup> rightTile : array<array<array<vec4<f32>, ${threadsX + 1}>, ${product.sums === 'none' ? tile.depth : Math.max(tile.depth, threadsY)}>, ${tn4}>;
${product.skips ? `var<workgroup> rowTile : array<i32, ${tile.rows}>;` : ''}
fn rightOrNothing(flat : i32, n4 : i32) -> mat4x4<f32> {
  ${product.pointwise ? 'let tap = 0; let k4 = flat;' : 'let tap = flat / u.k4; let k4 = flat - tap * u.k4;'}
  if (tap < u.kernel * u.kernel && k4 < u.k4 && n4 < u.n4) { return right(tap, k4, n4); }
  return mat4x4<f32>();
}`;

  const body = `
  if (group >= u.groups) { return; }
  let tilesN = (u.n4 + ${columns4 - 1}) / ${columns4};
  let tileM = group / tilesN;
  let tileN = group - tileM * tilesN;
  let x = lane % ${threadsX};
  let y = lane / ${threadsX};
  ${repeat(leftSlots, (s) =>
    repeat(4, (i) => `let p${s}_${i} = place(tileM * ${tile.rows} + (lane + ${s * threads}) / ${depth4} * 4 + ${i});`),
  )}
  ${each((i, j) => `var c${i}_${j} = vec4<f32>(0.0);`)}
  let depth = u.k4 * u.kernel * u.kernel;
  ${
    product.skips
      ? `let first = place(tileM * ${tile.rows});
  let last = place(min(tileM * ${tile.rows} + ${tile.rows - 1}, u.rows - 1));
  // Where rows don't come in order: for the end, when no thread knows its own any more.
  if (lane % ${depth4} == 0) {
    ${repeat(leftSlots, (s) =>
      ofLeft(
        s,
        repeat(4, (i) => `rowTile[e / ${depth4} * 4 + ${i}] = p${s}_${i}.w;`),
      ),
    )}
  }
  workgroupBarrier();`
      : ''
  }
  // This thread's k, as tap and channel.
  ${
    product.pointwise
      ? `var c4 = lane % ${depth4};`
      : `var flatTap = (lane % ${depth4}) / u.k4;
  var c4 = lane % ${depth4} - flatTap * u.k4;
  let stepTap = ${depth4} / u.k4;
  let stepC4 = ${depth4} - stepTap * u.k4;`
  }
  ${repeat(leftSlots, (i) => `var l${i} : mat4x4<f32>;`)}
  ${repeat(rightSlots, (i) => `var r${i} : mat4x4<f32>;`)}
  ${ahead ? fetch('0') : ''}
  for (var chunk = 0; chunk * ${depth4} < depth; chunk++) {
    ${
      product.skips
        ? `let chunkTap = (chunk * ${depth4}) / u.k4;
    if (chunkTap == (min((chunk + 1) * ${depth4}, depth) - 1) / u.k4 &&
        skip(first, last, vec2<i32>(chunkTap / u.kernel, chunkTap % u.kernel))) {
      ${advance}
      continue;
    }`
        : ''
    }
    ${ahead ? '' : `${fetch('chunk')}\n    ${advance}`}
    ${store}
    workgroupBarrier();
    ${
      ahead
        ? `${advance}
    if ((chunk + 1) * ${depth4} < depth) ${fetch('chunk + 1')}`
        : ''
    }
    ${multiply}
    workgroupBarrier();
  }
  let count = min(${tile.rows}, u.rows - tileM * ${tile.rows});
  ${repeat(tn4, (j) => {
    const n4 = `n${j}`;
    return `let ${n4} = tileN * ${columns4} + x + ${j * threadsX};
  ${product.sums === 'none' ? '' : `var s${j} = vec4<f32>(0.0); var t${j} = vec4<f32>(0.0);`}
  if (${n4} < u.n4) {
    let e = endTable(${n4});
    ${repeat(
      tm,
      (i) => `if (${rowIn(i)} < count) {
      let done = finish(${product.skips ? `rowTile[${rowIn(i)}]` : `tileM * ${tile.rows} + ${rowIn(i)}`}, ${n4}, c${i}_${j}, e);
      ${product.sums === 'moments' ? `c${i}_${j} = done.value; s${j} += done.value;` : ''}
      ${product.sums === 'gradient' ? `s${j} += done.value; t${j} = fma(done.value, done.other, t${j});` : ''}
    }`,
    )}
  }`;
  })}
  ${product.sums === 'none' ? '' : sums(product.sums)}`;
  return { declarations, body };

  /** Adds up what the threads of a column have, through the right tile, which is free by now (and large enough). */
  function sums(kind: 'moments' | 'gradient'): string {
    const gather = (name: string, into: string): string => `
  workgroupBarrier();
  ${repeat(tn4, (j) => `rightTile[${j}][y][x] = ${name}${j};`)}
  workgroupBarrier();
  ${repeat(
    tn4,
    (j) => `var ${into}${j} = vec4<f32>(0.0);
  for (var i = 0; i < ${threadsY}; i++) { ${into}${j} += rightTile[${j}][i][x]; }`,
  )}`;
    const write = (row: string, name: string): string =>
      repeat(tn4, (j) => `if (y == 0 && n${j} < u.n4) { sums[(${row}) * u.sumsStride + n${j}] = ${name}${j}; }`);
    if (kind === 'gradient') {
      return `${gather('s', 'total')}
  ${write('2 * tileM', 'total')}
  ${gather('t', 'totalHat')}
  ${write('2 * tileM + 1', 'totalHat')}`;
    }
    return `${gather('s', 'total')}
  ${repeat(tn4, (j) => `total${j} = total${j} / f32(count);`)}
  ${write('2 * tileM', 'total')}
  ${each((i, j) => `if (${rowIn(i)} < count) { let d = c${i}_${j} - total${j}; t${j} = fma(d, d, t${j}); }`)}
  ${gather('t', 'squares')}
  ${write('2 * tileM + 1', 'squares')}`;
  }
}
