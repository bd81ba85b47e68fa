import type { MaxPool, MaxPoolBackward } from '../calls.ts';
import type { Kernel } from '../kernels.ts';
import { bytesEach } from '../memory.ts';
import { columnSource } from './columns.ts';
import { rowLoop, rowThreads } from './loops.ts';
import { compose, viewPiece } from './pieces.ts';
import { coverCode, geometryIntegers, inputRows, outputRows, windowCode } from './windows.ts';

/** NaN wins over every number, the first one stays. By its bits: compilers may take it that there is none. */
const beats = `
fn isNan(x : vec4<f32>) -> vec4<bool> { return (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u); }
fn beats(a : vec4<f32>, b : vec4<f32>) -> vec4<bool> { return !isNan(b) & (isNan(a) | (a > b)); }`;

/** `each` sees `better`, the channels in which `value` at `sourceY`, `sourceX` replaces `best`. */
function maximum(each: string): string {
  return `${windowCode}
    var best = source_columnAt(column, (base + y0) * u.width + x0, c4);
    for (var sourceY = y0; sourceY < y1; sourceY++) {
      for (var sourceX = x0; sourceX < x1; sourceX++) {
        let value = source_columnAt(column, (base + sourceY) * u.width + sourceX, c4);
        let better = beats(value, best);
        best = select(best, value, better);
        ${each}
      }
    }`;
}

export const maxPool: Kernel<MaxPool> = {
  cost: (call) => ({
    flops: 4 * outputRows(call) * call.out.channels * call.kernel ** 2,
    bytes: call.out.channels * (inputRows(call) * bytesEach(call.source.view) + outputRows(call) * bytesEach(call.out)),
  }),
  dispatches: (call) => {
    const reader = columnSource('source', call.source, call.height * call.width);
    const out = viewPiece('out', call.out);
    const { integers, workgroups } = rowThreads(outputRows(call), call.out.channels);
    return [
      compose(`maxPool-source${reader.key}`, {
        pieces: [reader, out],
        integers: { ...geometryIntegers(call), ...integers },
        declarations: `${reader.code}${beats}`,
        body: rowLoop(`${maximum('')}\n    ${out.set('best')}`, 'let column = source_column(c4);'),
        workgroups,
      }),
    ];
  },
};

/**
 * First, for each output the place in its window that won, a byte a channel; then each input gathers from the few outputs that read it.
 * The bytes are a sixteenth of the output.
 */
export const maxPoolBackward: Kernel<MaxPoolBackward> = {
  cost: (call) => ({
    flops: 4 * outputRows(call) * call.dy.channels * call.kernel ** 2,
    bytes:
      call.dy.channels *
      (inputRows(call) * (bytesEach(call.source.view) + bytesEach(call.gradient)) +
        outputRows(call) * (bytesEach(call.dy) + 2)),
  }),
  scratch: (call) => (outputRows(call) * call.dy.channels) / 4,
  dispatches: (call, scratch) => {
    if (call.kernel > 15) throw new Error(`${call.node}: a window of ${call.kernel} does not fit into a byte.`);
    const { channels } = call.dy;
    const reader = columnSource('source', call.source, call.height * call.width);
    const dy = viewPiece('dy', call.dy);
    const gradient = viewPiece('gradient', call.gradient);
    const winners = {
      storage: [{ name: 'winners', access: 'read_write', element: 'u32' }] as const,
      memories: [scratch!],
      integers: [],
      values: [],
    };
    const outputs = rowThreads(outputRows(call), channels);
    const inputs = rowThreads(inputRows(call), channels);
    return [
      compose(`maxPoolBackward-winners-source${reader.key}`, {
        pieces: [reader, winners],
        integers: { ...geometryIntegers(call), ...outputs.integers },
        declarations: `${reader.code}${beats}`,
        body: rowLoop(
          `var winner = vec4<u32>(0u);
    ${maximum('winner = select(winner, vec4<u32>(u32((sourceY - y0) * u.kernel + sourceX - x0)), better);')}
    winner += vec4<u32>(u32((y0 - top) * u.kernel + x0 - left));
    winners[row * u.fours + c4] = winner.x | (winner.y << 8u) | (winner.z << 16u) | (winner.w << 24u);`,
          'let column = source_column(c4);',
        ),
        workgroups: outputs.workgroups,
      }),
      compose('maxPoolBackward', {
        pieces: [winners, dy, gradient],
        integers: { ...geometryIntegers(call), ...inputs.integers },
        body: rowLoop(`${coverCode}
    var sum = vec4<f32>(0.0);
    for (var oy = oy0; oy <= oy1; oy++) {
      for (var ox = ox0; ox <= ox1; ox++) {
        let out = (base + oy) * u.outWidth + ox;
        let own = u32((y - oy * u.stride) * u.kernel + x - ox * u.stride);
        let winner = (vec4<u32>(winners[out * u.fours + c4]) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
        sum += select(vec4<f32>(0.0), ${dy.at('out')}, winner == vec4<u32>(own));
      }
    }
    ${gradient.set('sum')}`),
        workgroups: inputs.workgroups,
      }),
    ];
  },
};
