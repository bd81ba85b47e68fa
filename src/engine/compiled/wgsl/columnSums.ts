import type { ColumnSums } from '../calls.ts';
import type { Dispatch, Kernel } from '../kernels.ts';
import { bytesEach, whole, type Range, type View } from '../memory.ts';
import { tileLoop, tileThreads } from './loops.ts';
import { compose, matrixPiece, rangesPiece, viewPiece } from './pieces.ts';
import { addition, SUM_GROUP, sumCode, sumWidth, walk } from './workgroupSum.ts';

/** More rows than this are added up tile by tile first. */
const MOST_ROWS = 1024;
const TILE_ROWS = 32;

export const columnSums: Kernel<ColumnSums> = {
  cost: (call) => {
    const size = call.dy.matrix.rows * call.dy.channels;
    return { flops: size, bytes: bytesEach(call.dy) * size + 4 * 2 * scratchFloats(call) };
  },
  scratch: scratchFloats,
  dispatches: ({ dy, gradient }, scratch) => {
    const tiles = tilesOf(dy);
    if (tiles === 0) return [ofRows(dy, dy.matrix.rows, gradient)];
    const sums = { ...scratch!, rows: tiles, channels: dy.channels };
    // The same memory under the shape in which it is used: bindings go by identity.
    const piece = { ...matrixPiece('sums', sums), memories: [scratch!] };
    const rows = viewPiece('dy', dy);
    return [
      compose('columnSums-tiles', {
        pieces: [rows, piece],
        ...tileThreads(dy.matrix.rows, dy.channels, { tiles, tileRows: TILE_ROWS }),
        body: tileLoop('var sum = vec4<f32>(0.0);', `sum += ${rows.at()};`, 'sums[tile * u.sumsStride + c4] = sum;'),
      }),
      { ...ofRows(whole(sums), tiles, gradient), memories: [scratch!, gradient.memory] },
    ];
  },
};

function tilesOf({ matrix }: View): number {
  return matrix.rows > MOST_ROWS ? Math.ceil(matrix.rows / TILE_ROWS) : 0;
}

function scratchFloats({ dy }: ColumnSums): number {
  return tilesOf(dy) * dy.channels;
}

/** A workgroup adds up the rows of a few channels. */
function ofRows(dy: View, rows: number, gradient: Range): Dispatch {
  const fours = dy.channels / 4;
  const width = sumWidth(rows, fours, 2);
  const ranges = rangesPiece({}, { gradient });
  const piece = viewPiece('dy', dy);
  return compose('columnSums', {
    pieces: [piece, ranges],
    integers: { rows, fours, width },
    workgroup: SUM_GROUP,
    declarations: `${sumCode({ sum: 'vec4<f32>' }, addition('sum'))}
fn partAt(row : i32, c4 : i32) -> Part {
  return Part(select(vec4<f32>(0.0), ${piece.at('min(row, u.rows - 1)')}, row < u.rows));
}`,
    body: `
  let c4 = group * u.width + lane % u.width;
  let writes = lane < u.width && c4 < u.fours;
  var part = Part(vec4<f32>(0.0));
  var before = vec4<f32>(0.0);
  if (writes) { before = ${ranges.at('gradient', 'c4')}; }
  if (c4 < u.fours) {${walk((row) => `partAt(${row}, c4)`, 'lane / u.width', `${SUM_GROUP} / u.width`, 'u.rows')}
  }
  part = reduced(part, lane, u.width);
  if (writes) { ${ranges.at('gradient', 'c4')} = before + part.sum; }`,
    workgroups: Math.ceil(fours / width),
  });
}
