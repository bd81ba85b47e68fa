import type { NormApply, NormBackward } from '../calls.ts';
import type { Kernel } from '../kernels.ts';
import { bytesEach, NORM_ROWS } from '../memory.ts';
import { rowLoop, rowThreads } from './loops.ts';
import { compose, matrixPiece, rangesPiece, viewPiece } from './pieces.ts';
import { addition, SUM_GROUP, sumCode, sumWidth, walk } from './workgroupSum.ts';

/** A workgroup adds up the tiles of a few channels. */
export const normBackward: Kernel<NormBackward> = {
  cost: ({ sums, norm, of }) => ({
    flops: 2 * sums.tiles * norm.channels + 8 * norm.channels,
    bytes: 4 * norm.channels * (2 * sums.tiles + (of === 'added' ? 12 : 10)),
  }),
  dispatches: ({ sums, rows, norm, gammaGradient, betaGradient, coefficients, of }) => {
    const fours = norm.channels / 4;
    const width = sumWidth(sums.tiles, fours, 1);
    const ranges = rangesPiece({}, { gammaGradient, betaGradient });
    const entry = (row: keyof typeof NORM_ROWS): string => `norm[${NORM_ROWS[row]} * u.normStride + c4]`;
    const table = viewPiece('coefficients', coefficients);
    return [
      compose(`normBackward-${ranges.key}`, {
        pieces: [matrixPiece('sums', sums.matrix), matrixPiece('norm', norm), table, ranges],
        integers: { fours, width, tiles: sums.tiles, rest: of === 'whole' ? 0 : 1, added: of === 'added' ? 1 : 0 },
        floats: { inverseRows: 1 / rows },
        workgroup: SUM_GROUP,
        declarations: `${sumCode({ dz: 'vec4<f32>', dzHat: 'vec4<f32>' }, addition('dz', 'dzHat'))}
fn partAt(tile : i32, c4 : i32) -> Part {
  let at = 2 * min(tile, u.tiles - 1) * u.sumsStride + c4;
  let there = vec4<bool>(tile < u.tiles);
  return Part(select(vec4<f32>(0.0), sums[at], there), select(vec4<f32>(0.0), sums[at + u.sumsStride], there));
}`,
        body: `
  let c4 = group * u.width + lane % u.width;
  let writes = lane < u.width && c4 < u.fours;
  var part = Part(vec4<f32>(0.0), vec4<f32>(0.0));
  // Loaded before the sums are there, which takes as long.
  var gammaBefore = vec4<f32>(0.0);
  var betaBefore = vec4<f32>(0.0);
  var a = vec4<f32>(0.0);
  var inverse = vec4<f32>(0.0);
  var mean = vec4<f32>(0.0);
  if (writes) {
    gammaBefore = ${ranges.at('gammaGradient', 'c4')};
    betaBefore = ${ranges.at('betaGradient', 'c4')};
    a = ${entry('scale')};
    inverse = ${entry('inverse')};
    mean = ${entry('mean')};
  }
  if (c4 < u.fours) {${walk((tile) => `partAt(${tile}, c4)`, 'lane / u.width', `${SUM_GROUP} / u.width`, 'u.tiles')}
  }
  part = reduced(part, lane, u.width);
  if (!writes) { return; }
  ${ranges.at('gammaGradient', 'c4')} = gammaBefore + part.dzHat;
  ${ranges.at('betaGradient', 'c4')} = betaBefore + part.dz;
  let b = -a * inverse * part.dzHat * u.inverseRows;
  let d = -a * part.dz * u.inverseRows - b * mean;
  var othersB = vec4<f32>(0.0);
  var othersD = vec4<f32>(0.0);
  if (u.added != 0) {
    othersB = ${table.at('1')};
    othersD = ${table.at('2')};
  }
  ${table.set('select(a, vec4<f32>(1.0), u.rest != 0)', '0')}
  ${table.set('othersB + b', '1')}
  ${table.set('othersD + d', '2')}`,
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
    const table = viewPiece('coefficients', coefficients);
    return [
      compose(`normApply${inPlace ? '-inPlace' : ''}${accumulate ? '-accumulate' : ''}`, {
        pieces: [slope, raw, table, ...(inPlace ? [] : [target])],
        ...rowThreads(out.matrix.rows, dz.channels),
        body: rowLoop(
          target.set(`${accumulate ? `${target.at()} + ` : ''}fma(a, ${slope.at()}, fma(b, ${raw.at()}, d))`),
          `let a = ${table.at('0')};
  let b = ${table.at('1')};
  let d = ${table.at('2')};`,
        ),
      }),
    ];
  },
};
