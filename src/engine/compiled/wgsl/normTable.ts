import type { NormTableOfBatch, NormTableOfRunning } from '../calls.ts';
import type { Kernel } from '../kernels.ts';
import { NORM_ROWS } from '../memory.ts';
import { compose, matrixPiece, rangesPiece } from './pieces.ts';
import { SUM_GROUP, sumCode, sumWidth, walk } from './workgroupSum.ts';

const row = (r: number): string => `table[${r} * u.tableStride + c4]`;
/** A function: the table of four channels. */
const writeTable = `
fn writeTable(c4 : i32, mean : vec4<f32>, variance : vec4<f32>, gamma : vec4<f32>, beta : vec4<f32>) {
  let inverse = inverseSqrt(variance + u.eps);
  let scale = gamma * inverse;
  ${row(NORM_ROWS.scale)} = scale;
  ${row(NORM_ROWS.shift)} = beta - scale * mean;
  ${row(NORM_ROWS.mean)} = mean;
  ${row(NORM_ROWS.inverse)} = inverse;
}`;

/**
 * The first workgroups merge the tiles of fresh channels, a workgroup a few channels; the others take what the moments have, a thread four
 * channels. Tiles are merged by Chan, Golub & LeVeque 1983, equation 2.1: no difference of large numbers.
 */
export const normTableOfBatch: Kernel<NormTableOfBatch> = {
  cost: ({ fresh, table }) => {
    const partials = fresh ? 2 * fresh.partials.tiles * fresh.channels : 0;
    return { flops: 5 * partials + 12 * table.channels, bytes: 4 * (partials + 14 * table.channels) };
  },
  dispatches: ({ fresh, rows, moments, first, gamma, beta, eps, table, runningMean, runningVariance, momentum }) => {
    const ranges = rangesPiece({ gamma, beta }, { runningMean, runningVariance });
    const tableFours = table.channels / 4;
    const freshFours = fresh ? fresh.channels / 4 : 0;
    const width = fresh ? sumWidth(fresh.partials.tiles, freshFours, 1) : 1;
    const freshGroups = Math.ceil(freshFours / width);
    const covered = fresh !== null && fresh.first <= first && fresh.first + fresh.channels >= first + table.channels;
    return [
      compose(`normTableOfBatch-${fresh ? 'fresh-' : ''}${ranges.key}`, {
        pieces: [
          ...(fresh ? [matrixPiece('tilesOf', fresh.partials.matrix)] : []),
          matrixPiece('moments', moments),
          matrixPiece('table', table),
          ranges,
        ],
        integers: {
          first: first / 4,
          tableFours,
          freshFirst: fresh ? fresh.first / 4 : 0,
          freshFours,
          freshGroups,
          width,
          rows,
          tiles: fresh?.partials.tiles ?? 0,
          tileRows: fresh?.partials.tileRows ?? 0,
        },
        // torch keeps the unbiased variance; one value a channel has none.
        floats: { eps, momentum, unbiased: rows / Math.max(1, rows - 1), inverseRows: 1 / rows },
        workgroup: SUM_GROUP,
        declarations: `${writeTable}
${
  fresh
    ? `${sumCode(
        { mean: 'vec4<f32>', squares: 'vec4<f32>', count: 'f32' },
        `
  let count = a.count + b.count;
  let share = b.count / max(count, 1.0);
  let difference = b.mean - a.mean;
  return Part(fma(difference, vec4<f32>(share), a.mean), a.squares + b.squares + difference * difference * (a.count * share), count);`,
      )}
fn partAt(tile : i32, column : i32) -> Part {
  let at = 2 * min(tile, u.tiles - 1) * u.tilesOfStride + column;
  let count = select(0.0, f32(min(u.rows - tile * u.tileRows, u.tileRows)), tile < u.tiles);
  return Part(tilesOf[at], select(vec4<f32>(0.0), tilesOf[at + u.tilesOfStride], tile < u.tiles), count);
}`
    : ''
}`,
        body: `
  let sums = group < u.freshGroups;
  // Of the moments: what a lane writes the table of.
  let m = select(u.first + (group - u.freshGroups) * ${SUM_GROUP} + lane, u.freshFirst + group * u.width + lane, sums);
  // Of the norm; another's: out of its range.
  let c4 = m - u.first;
  let isFresh = m >= u.freshFirst && m < u.freshFirst + u.freshFours;
  let normed = c4 >= 0 && c4 < u.tableFours && select(!isFresh, isFresh && lane < u.width, sums);
  // Loaded before the sums are there, which takes as long.
  var gamma = vec4<f32>(0.0);
  var beta = vec4<f32>(0.0);
  var meanBefore = vec4<f32>(0.0);
  var varianceBefore = vec4<f32>(0.0);
  if (normed) {
    gamma = ${ranges.at('gamma', 'c4')};
    beta = ${ranges.at('beta', 'c4')};
    meanBefore = ${ranges.at('runningMean', 'c4')};
    varianceBefore = ${ranges.at('runningVariance', 'c4')};
  }
  var mean = vec4<f32>(0.0);
  var variance = vec4<f32>(0.0);
  ${fresh ? `if (sums) {${freshBody}\n  } else ` : ''}if (normed) {
    mean = moments[m];
    variance = moments[u.momentsStride + m];
  }
  if (!normed) { return; }
  writeTable(c4, mean, variance, gamma, beta);
  ${ranges.at('runningMean', 'c4')} = (1.0 - u.momentum) * meanBefore + u.momentum * mean;
  ${ranges.at('runningVariance', 'c4')} = (1.0 - u.momentum) * varianceBefore + (u.momentum * u.unbiased) * variance;`,
        workgroups: freshGroups + (covered ? 0 : Math.ceil(tableFours / SUM_GROUP)),
      }),
    ];
  },
};

const freshBody = `
    let column = group * u.width + lane % u.width;
    var part = Part(vec4<f32>(0.0), vec4<f32>(0.0), 0.0);
    if (column < u.freshFours) {${walk((tile) => `partAt(${tile}, column)`, 'lane / u.width', `${SUM_GROUP} / u.width`, 'u.tiles')}
    }
    part = reduced(part, lane, u.width);
    mean = part.mean;
    variance = part.squares * u.inverseRows;
    if (lane < u.width && column < u.freshFours) {
      moments[m] = mean;
      moments[u.momentsStride + m] = variance;
    }`;

export const normTableOfRunning: Kernel<NormTableOfRunning> = {
  cost: ({ table }) => ({ flops: 6 * table.channels, bytes: 4 * 8 * table.channels }),
  dispatches: ({ gamma, beta, eps, runningMean, runningVariance, table }) => {
    const ranges = rangesPiece({ gamma, beta, runningMean, runningVariance });
    return [
      compose(`normTableOfRunning-${ranges.key}`, {
        pieces: [matrixPiece('table', table), ranges],
        integers: { fours: table.channels / 4 },
        floats: { eps },
        declarations: writeTable,
        body: `if (index < u.fours) {
    writeTable(index, ${['runningMean', 'runningVariance', 'gamma', 'beta'].map((name) => ranges.at(name, 'index')).join(', ')});
  }`,
        workgroups: Math.ceil(table.channels / 4 / 64),
      }),
    ];
  },
};
