import { repeat, threadsOf, type LanesTile, type SharedTile, type Tile } from './gemmTiles.ts';

/**
 * Bodies of a filter's gradient: into[row, n] = Σ over rows of left[row at the unit's tap, its 4 channels] · dy[row, n]. A unit is four
 * input channels at one tap, (ky, kx, c4) flat; a tile has `tile.rows` / 4 of them. They call
 *
 *     leftTable, left (gemmProduct.ts), dyAt(row, n4), pixelOf, stepped, tapRow, and put(slice, row, n4, sum).
 */
export interface FilterBody {
  readonly declarations: string;
  readonly body: string;
}

/** Rows of one turn: pixels are walked in steps of it. */
export function filterDepth(tile: Tile): number {
  return tile.kind === 'lanes' ? 4 : tile.depth;
}

const start = (columns4: number): string => `
  if (group >= u.groups) { return; }
  let slice = group / u.sliceGroups;
  let tilesN = (u.n4 + ${columns4 - 1}) / ${columns4};
  let tileM = (group - slice * u.sliceGroups) / tilesN;
  let tileN = group - slice * u.sliceGroups - tileM * tilesN;
  let begin = slice * u.sliceRows;
  let end = min(begin + u.sliceRows, u.rows);
  let units = u.kernel * u.kernel * u.c4;`;

/** Channel and tap of a unit, under names that end in `suffix`. */
const unitOf = (suffix: string, unit: string): string => `
  let unit${suffix} = min(${unit}, units - 1);
  let flat${suffix} = unit${suffix} / u.c4;
  let c${suffix} = unit${suffix} - flat${suffix} * u.c4;
  let tap${suffix} = vec2<i32>(flat${suffix} / u.kernel, flat${suffix} % u.kernel);
  let t${suffix} = leftTable(c${suffix});`;

/** As lanesBody: the eight threads read 4 rows of 2 units at a time. */
export function filterLanesBody(tile: LanesTile, pointwise: boolean): FilterBody {
  const slots = tile.rows / 8;
  const units = tile.rows / 4;
  return {
    declarations: '',
    body: `${start(8)}
  let n4 = tileN * 8 + lane;
  let column = min(n4, u.n4 - 1);
  let laneRow = lane & 3;
  ${repeat(slots, (s) => unitOf(`${s}`, `tileM * ${units} + ${2 * s} + (lane >> 2)`))}
  ${pointwise ? '' : 'var pixel = pixelOf(begin + laneRow);'}
  ${repeat(tile.rows, (i) => `var sum${i} = vec4<f32>(0.0);`)}
  for (var m = begin; m < end; m += 4) {
    let inside = m + laneRow < end;
    ${repeat(
      slots,
      (s) =>
        `let x${s} = left(select(-1, ${pointwise ? 'm + laneRow' : `tapRow(pixel, tap${s})`}, inside), c${s}, t${s});`,
    )}
    ${pointwise ? '' : 'pixel = stepped(pixel);'}
    ${repeat(4, (k) => `let b${k} = dyAt(min(m + ${k}, u.rows - 1), column);`)}
    ${repeat(units, (i) =>
      repeat(
        4,
        (k) => `{ let x = subgroupBroadcast(x${i >> 1}, ${(i & 1) * 4 + k}u);
    ${repeat(4, (c) => `sum${i * 4 + c} = fma(vec4<f32>(x[${c}]), b${k}, sum${i * 4 + c});`)} }`,
      ),
    )}
  }
  // A loop for the same reasons as there.
  var result = array<vec4<f32>, ${tile.rows}>(${Array.from({ length: tile.rows }, (_, i) => `sum${i}`).join(', ')});
  if (n4 < u.n4) {
    let count = min(u.tileRows, units * 4 - tileM * ${tile.rows});
    for (var i = 0; i < count; i++) { put(slice, tileM * ${tile.rows} + i, n4, result[i]); }
  }`,
  };
}

/** As sharedBody. */
export function filterSharedBody(tile: SharedTile, pointwise: boolean): FilterBody {
  const { depth } = tile;
  const threads = threadsOf(tile);
  const threadsX = tile.columns / tile.threadColumns;
  const threadsY = tile.rows / tile.threadRows;
  const [units, columns4] = [tile.rows / 4, tile.columns / 4];
  const [tm4, tn4] = [tile.threadRows / 4, tile.threadColumns / 4];
  const leftLoads = (units * depth) / threads;
  const rightLoads = (columns4 * depth) / threads;
  if (!Number.isInteger(leftLoads) || !Number.isInteger(rightLoads) || threads % units !== 0) {
    throw new Error('Threads do not share out the tiles.');
  }
  const rowOf = (s: number): string => `lane / ${units} + ${(s * threads) / units}`;
  /** From memory into this thread's `l…` and `r…`; then its pixels are those of the next turn. */
  const fetch = (m: string): string => `{
    ${repeat(
      leftLoads,
      (s) => `{ let row = ${m} + ${rowOf(s)};
      l${s} = left(select(-1, ${pointwise ? 'row' : `tapRow(pixel${s}, tap)`}, row < end), c, t); }
    ${pointwise ? '' : `pixel${s} = stepped(pixel${s});`}`,
    )}
    ${repeat(
      rightLoads,
      (s) => `{ let e = lane + ${s * threads};
      let row = min(${m} + e / ${columns4}, u.rows - 1);
      r${s} = dyAt(row, min(tileN * ${columns4} + e % ${columns4}, u.n4 - 1)); }`,
    )}
  }`;
  return {
    declarations: `
var<workgroup> leftTile : array<array<array<vec4<f32>, ${threadsY}>, ${tm4}>, ${depth}>;
var<workgroup> rightTile : array<array<array<vec4<f32>, ${threadsX}>, ${tn4}>, ${depth}>;`,
    body: `${start(columns4)}
  let x = lane % ${threadsX};
  let y = lane / ${threadsX};
  ${unitOf('', `tileM * ${units} + lane % ${units}`)}
  ${pointwise ? '' : repeat(leftLoads, (s) => `var pixel${s} = pixelOf(begin + ${rowOf(s)});`)}
  ${repeat(tile.threadRows, (i) => repeat(tn4, (j) => `var sum${i}_${j} = vec4<f32>(0.0);`))}
  ${repeat(leftLoads, (i) => `var l${i} : vec4<f32>;`)}
  ${repeat(rightLoads, (i) => `var r${i} : vec4<f32>;`)}
  ${tile.ahead ? fetch('begin') : ''}
  for (var m = begin; m < end; m += ${depth}) {
    ${tile.ahead ? '' : fetch('m')}
    ${repeat(
      leftLoads,
      (s) => `{ let unit = lane % ${units};
    leftTile[${rowOf(s)}][unit / ${threadsY}][unit % ${threadsY}] = l${s}; }`,
    )}
    ${repeat(
      rightLoads,
      (s) => `{ let e = lane + ${s * threads};
    let n4 = e % ${columns4};
    rightTile[e / ${columns4}][n4 / ${threadsX}][n4 % ${threadsX}] = r${s}; }`,
    )}
    workgroupBarrier();
    ${tile.ahead ? `if (m + ${depth} < end) ${fetch(`m + ${depth}`)}` : ''}
    ${repeat(
      depth,
      (q) => `{
      ${repeat(tm4, (i) => `let a${i} = leftTile[${q}][${i}][y];`)}
      ${repeat(tn4, (j) => `let b${j} = rightTile[${q}][${j}][x];`)}
      ${repeat(tile.threadRows, (i) =>
        repeat(tn4, (j) => `sum${i}_${j} = fma(vec4<f32>(a${i >> 2}[${i & 3}]), b${j}, sum${i}_${j});`),
      )}
    }`,
    )}
    workgroupBarrier();
  }
  ${repeat(
    tn4,
    (j) => `if (tileN * ${columns4} + x + ${j * threadsX} < u.n4) {
    let n4 = tileN * ${columns4} + x + ${j * threadsX};
    ${repeat(
      tm4,
      (i) => `{ let at = tileM * ${units} + y + ${i * threadsY};
    if (at < units) { ${repeat(4, (c) => `put(slice, at * 4 + ${c}, n4, sum${i * 4 + c}_${j});`)} } }`,
    )}
  }`,
  )}`,
  };
}
