import type { NormTableOfBatch, NormTableOfRunning } from '../calls.ts';
import type { Kernel } from '../kernels.ts';
import { NORM_ROWS } from '../memory.ts';
import { compose, matrixPiece, rangesPiece, type RangesPiece } from './pieces.ts';
import { SUM_GROUP, sumCode, sumWidth } from './workgroupSum.ts';

/** `writeTable(c4, mean, variance)`: the table of four channels. */
function tableCode(ranges: RangesPiece): string {
  const row = (r: number): string => `table[${r} * u.tableStride + c4]`;
  return `
fn writeTable(c4 : i32, mean : vec4<f32>, variance : vec4<f32>) {
  let inverse = inverseSqrt(variance + u.eps);
  let scale = ${ranges.at('gamma', 'c4')} * inverse;
  ${row(NORM_ROWS.scale)} = scale;
  ${row(NORM_ROWS.shift)} = ${ranges.at('beta', 'c4')} - scale * mean;
  ${row(NORM_ROWS.mean)} = mean;
  ${row(NORM_ROWS.inverse)} = inverse;
}`;
}

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
    const runningMeanAt = ranges.at('runningMean', 'c4');
    const runningVarianceAt = ranges.at('runningVariance', 'c4');
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
        declarations: `${tableCode(ranges)}
${
  fresh
    ? sumCode(
        { mean: 'vec4<f32>', squares: 'vec4<f32>', count: 'f32' },
        `
  let count = a.count + b.count;
  let share = b.count / max(count, 1.0);
  let difference = b.mean - a.mean;
  return Part(fma(difference, vec4<f32>(share), a.mean), a.squares + b.squares + difference * difference * (a.count * share), count);`,
      )
    : ''
}`,
        body: `
  // Of the norm; none: −1.
  var c4 = -1;
  var mean = vec4<f32>(0.0);
  var variance = vec4<f32>(0.0);
  ${fresh ? `if (group < u.freshGroups) {${freshBody}\n  } else {` : '{'}
    let own = (group - u.freshGroups) * ${SUM_GROUP} + lane;
    let m = u.first + own;
    if (own < u.tableFours && (m < u.freshFirst || m >= u.freshFirst + u.freshFours)) {
      c4 = own;
      mean = moments[m];
      variance = moments[u.momentsStride + m];
    }
  }
  if (c4 < 0 || c4 >= u.tableFours) { return; }
  writeTable(c4, mean, variance);
  ${runningMeanAt} = (1.0 - u.momentum) * ${runningMeanAt} + u.momentum * mean;
  ${runningVarianceAt} = (1.0 - u.momentum) * ${runningVarianceAt} + (u.momentum * u.unbiased) * variance;`,
        workgroups: freshGroups + (covered ? 0 : Math.ceil(tableFours / SUM_GROUP)),
      }),
    ];
  },
};

const freshBody = `
    let column = group * u.width + lane % u.width;
    var part = Part(vec4<f32>(0.0), vec4<f32>(0.0), 0.0);
    if (column < u.freshFours) {
      for (var tile = lane / u.width; tile < u.tiles; tile += ${SUM_GROUP} / u.width) {
        let count = f32(min(u.rows - tile * u.tileRows, u.tileRows));
        let at = 2 * tile * u.tilesOfStride + column;
        part = merged(part, Part(tilesOf[at], tilesOf[at + u.tilesOfStride], count));
      }
    }
    part = reduced(part, lane);
    if (lane < u.width && column < u.freshFours) {
      let m = u.freshFirst + column;
      c4 = m - u.first;
      mean = part.mean;
      variance = part.squares * u.inverseRows;
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
        declarations: tableCode(ranges),
        body: `if (index < u.fours) {
    writeTable(index, ${ranges.at('runningMean', 'index')}, ${ranges.at('runningVariance', 'index')});
  }`,
        workgroups: Math.ceil(table.channels / 4 / 64),
      }),
    ];
  },
};
