import type { Statistics } from '../calls.ts';
import type { Kernel } from '../kernels.ts';
import { bytesEach } from '../memory.ts';
import { tileLoop, tileRowsOf, tileThreads } from './loops.ts';
import { compose, matrixPiece, viewPiece } from './pieces.ts';

/**
 * Mean and squared differences of tiles of rows, one thread a tile and four channels, in one pass: differences are taken from the tile's
 * first row. With s the sum of squared differences from the mean, those from any row of the n sum up to at most (n + 1) · s: subtracting
 * the mean's part loses at most log2(n + 1) bits, however large the mean is.
 */
export const statistics: Kernel<Statistics> = {
  cost: ({ view, partials }) => ({
    flops: 4 * view.matrix.rows * view.channels,
    bytes: view.channels * (bytesEach(view) * view.matrix.rows + 4 * 2 * partials.tiles),
  }),
  tileRows: ({ view }) => tileRowsOf(view.matrix.rows, view.channels),
  dispatches: ({ view, partials }) => {
    const x = viewPiece('x', view);
    return [
      compose('statistics', {
        pieces: [x, matrixPiece('sums', partials.matrix)],
        ...tileThreads(view.matrix.rows, view.channels, partials),
        body: tileLoop(
          `let origin = ${x.at('begin')};
  var sum = vec4<f32>(0.0);
  var squares = vec4<f32>(0.0);`,
          `let difference = ${x.at()} - origin;
    sum += difference;
    squares = fma(difference, difference, squares);`,
          `let shift = sum / f32(end - begin);
  sums[2 * tile * u.sumsStride + c4] = origin + shift;
  sums[(2 * tile + 1) * u.sumsStride + c4] = max(vec4<f32>(0.0), squares - sum * shift);`,
        ),
      }),
    ];
  },
};
