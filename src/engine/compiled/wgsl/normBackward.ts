import type { NormApply, NormBackward } from '../calls.ts';
import type { Kernel } from '../kernels.ts';
import { bytesEach, NORM_ROWS } from '../memory.ts';
import { rowLoop, rowThreads } from './loops.ts';
import { compose, matrixPiece, rangesPiece, viewPiece } from './pieces.ts';
import { addition, SUM_GROUP, sumCode, sumWidth } from './workgroupSum.ts';

/** A workgroup adds up the tiles of a few channels. */
export const normBackward: Kernel<NormBackward> = {
  cost: ({ sums, norm }) => ({
    flops: 2 * sums.tiles * norm.channels + 8 * norm.channels,
    bytes: 4 * norm.channels * (2 * sums.tiles + 10),
  }),
  dispatches: ({ sums, rows, norm, gammaGradient, betaGradient, coefficients }) => {
    const fours = norm.channels / 4;
    const width = sumWidth(sums.tiles, fours, 1);
    const ranges = rangesPiece({}, { gammaGradient, betaGradient });
    const coefficient = (row: number): string => `coefficients[${row} * u.coefficientsStride + c4]`;
    return [
      compose(`normBackward-${ranges.key}`, {
        pieces: [
          matrixPiece('sums', sums.matrix),
          matrixPiece('norm', norm),
          matrixPiece('coefficients', coefficients),
          ranges,
        ],
        integers: { fours, width, tiles: sums.tiles },
        floats: { inverseRows: 1 / rows },
        workgroup: SUM_GROUP,
        declarations: sumCode({ dz: 'vec4<f32>', dzHat: 'vec4<f32>' }, addition('dz', 'dzHat')),
        body: `
  let c4 = group * u.width + lane % u.width;
  var part = Part(vec4<f32>(0.0), vec4<f32>(0.0));
  if (c4 < u.fours) {
    for (var tile = lane / u.width; tile < u.tiles; tile += ${SUM_GROUP} / u.width) {
      let at = 2 * tile * u.sumsStride + c4;
      part = merged(part, Part(sums[at], sums[at + u.sumsStride]));
    }
  }
  part = reduced(part, lane);
  if (lane >= u.width || c4 >= u.fours) { return; }
  ${ranges.at('gammaGradient', 'c4')} += part.dzHat;
  ${ranges.at('betaGradient', 'c4')} += part.dz;
  let a = norm[${NORM_ROWS.scale} * u.normStride + c4];
  let b = -a * norm[${NORM_ROWS.inverse} * u.normStride + c4] * part.dzHat * u.inverseRows;
  ${coefficient(0)} = a;
  ${coefficient(1)} = b;
  ${coefficient(2)} = -a * part.dz * u.inverseRows - b * norm[${NORM_ROWS.mean} * u.normStride + c4];`,
        workgroups: Math.ceil(fours / width),
      }),
    ];
  },
};

export const normApply: Kernel<NormApply> = {
  cost: ({ dz, x, out, accumulate }) => {
    const size = out.matrix.rows * dz.channels;
    const passes = accumulate && out.matrix !== dz.matrix ? 2 : 1;
    return { flops: 4 * size, bytes: size * (bytesEach(dz) + bytesEach(x) + bytesEach(out) * passes) };
  },
  dispatches: ({ dz, x, coefficients, out, accumulate }) => {
    const inPlace = out.matrix === dz.matrix;
    const slope = viewPiece('dz', dz);
    const raw = viewPiece('x', x);
    const target = inPlace ? slope : viewPiece('out', out);
    return [
      compose(`normApply${inPlace ? '-inPlace' : ''}${accumulate ? '-accumulate' : ''}`, {
        pieces: [slope, raw, matrixPiece('coefficients', coefficients), ...(inPlace ? [] : [target])],
        ...rowThreads(out.matrix.rows, dz.channels),
        body: rowLoop(
          target.set(`${accumulate ? `${target.at()} + ` : ''}fma(a, ${slope.at()}, fma(b, ${raw.at()}, d))`),
          `let a = coefficients[c4];
  let b = coefficients[u.coefficientsStride + c4];
  let d = coefficients[2 * u.coefficientsStride + c4];`,
        ),
      }),
    ];
  },
};
