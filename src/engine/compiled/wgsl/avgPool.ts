import type { AvgPool, AvgPoolBackward } from '../calls.ts';
import type { Kernel } from '../kernels.ts';
import { bytesEach } from '../memory.ts';
import { columnSource } from './columns.ts';
import { rowLoop, rowThreads } from './loops.ts';
import { compose, viewPiece } from './pieces.ts';
import { coverCode, geometryIntegers, inputRows, outputRows, windowCode } from './windows.ts';

/** torch.nn.AvgPool2d: what lies outside counts as zeros, the divisor is always kernel². */
export const avgPool: Kernel<AvgPool> = {
  cost: (call) => ({
    flops: 2 * outputRows(call) * call.out.channels * call.kernel ** 2,
    bytes: call.out.channels * (inputRows(call) * bytesEach(call.source.view) + outputRows(call) * bytesEach(call.out)),
  }),
  dispatches: (call) => {
    const reader = columnSource('source', call.source, call.height * call.width);
    const out = viewPiece('out', call.out);
    const { integers, workgroups } = rowThreads(outputRows(call), call.out.channels);
    return [
      compose(`avgPool-source${reader.key}`, {
        pieces: [reader, out],
        integers: { ...geometryIntegers(call), ...integers },
        floats: { share: 1 / call.kernel ** 2 },
        declarations: reader.code,
        body: rowLoop(
          `${windowCode}
    var sum = vec4<f32>(0.0);
    for (var sourceY = y0; sourceY < y1; sourceY++) {
      for (var sourceX = x0; sourceX < x1; sourceX++) {
        sum += source_columnAt(column, (base + sourceY) * u.width + sourceX, c4);
      }
    }
    ${out.set('sum * u.share')}`,
          'let column = source_column(c4);',
        ),
        workgroups,
      }),
    ];
  },
};

export const avgPoolBackward: Kernel<AvgPoolBackward> = {
  cost: (call) => ({
    flops: 2 * outputRows(call) * call.dy.channels * call.kernel ** 2,
    bytes: call.dy.channels * (inputRows(call) * bytesEach(call.gradient) + outputRows(call) * bytesEach(call.dy)),
  }),
  dispatches: (call) => {
    const { integers, workgroups } = rowThreads(inputRows(call), call.dy.channels);
    const dy = viewPiece('dy', call.dy);
    const gradient = viewPiece('gradient', call.gradient);
    return [
      compose('avgPoolBackward', {
        pieces: [dy, gradient],
        integers: { ...geometryIntegers(call), ...integers },
        floats: { share: 1 / call.kernel ** 2 },
        body: rowLoop(`${coverCode}
    var sum = vec4<f32>(0.0);
    for (var oy = oy0; oy <= oy1; oy++) {
      for (var ox = ox0; ox <= ox1; ox++) { sum += ${dy.at('(base + oy) * u.outWidth + ox')}; }
    }
    ${gradient.set('sum * u.share')}`),
        workgroups,
      }),
    ];
  },
};
