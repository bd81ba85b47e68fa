import type { ActivationBackward } from '../calls.ts';
import type { Kernel } from '../kernels.ts';
import { bytesEach } from '../memory.ts';
import { columnSource } from './columns.ts';
import { rowLoop, rowThreads, tileLoop, tileRowsOf, tileThreads } from './loops.ts';
import { compose, matrixPiece, viewPiece } from './pieces.ts';

/**
 * One thread a four of channels goes down some rows; with sums, down a tile's. With `accumulate` the sums are those of this call's dz
 * alone.
 */
export const activationBackward: Kernel<ActivationBackward> = {
  cost: ({ gradient, images, pixels, source, out, accumulate, sums }) => {
    const size = images * pixels * source.view.channels;
    const each =
      (gradient ? bytesEach(gradient) : 0) +
      (readsSource({ source, sums }) ? bytesEach(source.view) : 0) +
      (out ? bytesEach(out) * (accumulate ? 2 : 1) : 0);
    return { flops: 8 * size, bytes: size * each + 4 * (sums?.matrix.floats ?? 0) };
  },
  tileRows: ({ images, pixels, source }) => tileRowsOf(images * pixels, source.view.channels),
  dispatches: (call) => {
    const { gradient, factor, pooled, images, pixels, source, out, accumulate, sums } = call;
    const rows = images * pixels;
    const { channels } = source.view;
    const reader = readsSource(call) ? columnSource('source', source, pixels) : null;
    const inPlace = out !== null && out.matrix === gradient?.matrix;
    const slope = gradient && viewPiece('gradient', gradient);
    const scale = factor && viewPiece('factor', factor);
    const mean = pooled && viewPiece('pooled', pooled);
    const target = inPlace ? slope : out && viewPiece('out', out);

    const each = `
    ${factor || pooled ? 'let image = row / u.pixels;' : ''}
    ${slope ? `var dz = ${slope.at()};` : 'var dz = vec4<f32>(0.0);'}
    ${scale ? `dz *= ${scale.at('image')};` : ''}
    ${mean ? `dz = fma(${mean.at('image')}, vec4<f32>(u.inversePixels), dz);` : ''}
    ${reader ? 'let raw = source_raw(row, c4);' : ''}
    ${source.activation === 'none' ? '' : 'dz *= source_act_slope(source_columnZ(column, raw));'}
    ${target && !accumulate ? target.rounded('dz') : ''}
    ${target ? target.set(`${accumulate ? `${target.at()} + ` : ''}dz`) : ''}
    ${sums ? 'sum += dz; sumHat = fma(dz, source_columnHat(column, raw), sumHat);' : ''}`;
    const before = reader ? 'let column = source_column(c4);' : '';

    const name = [
      'activationBackward',
      reader ? `source${reader.key}` : '',
      gradient ? 'gradient' : '',
      factor ? 'factor' : '',
      pooled ? 'pooled' : '',
      inPlace ? 'inPlace' : out ? 'out' : '',
      accumulate ? 'accumulate' : '',
      sums ? 'sums' : '',
    ];
    return [
      compose(name.filter((part) => part !== '').join('-'), {
        pieces: [
          ...[slope, scale, mean, reader, inPlace ? null : target].filter((piece) => piece !== null),
          ...(sums ? [matrixPiece('sums', sums.matrix)] : []),
          { storage: [], memories: [], integers: ['pixels'], values: [pixels] },
        ],
        floats: { inversePixels: 1 / pixels },
        declarations: reader?.code ?? '',
        ...(sums
          ? {
              ...tileThreads(rows, channels, sums),
              body: tileLoop(
                `${before}
  var sum = vec4<f32>(0.0);
  var sumHat = vec4<f32>(0.0);`,
                each,
                `sums[2 * tile * u.sumsStride + c4] = sum;
  sums[(2 * tile + 1) * u.sumsStride + c4] = sumHat;`,
              ),
            }
          : { ...rowThreads(rows, channels), body: rowLoop(each, before) }),
      }),
    ];
  },
};

function readsSource({ source, sums }: Pick<ActivationBackward, 'source' | 'sums'>): boolean {
  return source.activation !== 'none' || sums !== null;
}
