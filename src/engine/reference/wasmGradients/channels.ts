import type { TensorInfo } from '@tensorflow/tfjs';
import { CHANNEL_CONCAT, CHANNEL_SPLIT } from '../ops/structure.ts';
import { SPREAD } from '../ops/pooling.ts';
import { allocate, beginning, floats, view } from './heap.ts';
import { wasmKernel } from './kernel.ts';

/** `[N,H,W,Ci]…` → `[N,H,W,ΣCi]`. tfjs's own makes two views a pixel and input; DenseNet121 has thousands of each. */
export const channelConcat = wasmKernel(CHANNEL_CONCAT, (inputs: Record<string, TensorInfo>) => {
  const parts = Object.values(inputs);
  const [n, height, width] = parts[0]!.shape as [number, number, number, number];
  const total = parts.reduce((sum, part) => sum + part.shape[3]!, 0);
  const output = allocate([n, height, width, total]);
  let to = beginning(output);
  for (const part of parts) {
    const channels = part.shape[3]!;
    copyRows(n * height * width, channels, beginning(part), channels, to, total);
    to += channels;
  }
  return output;
});

/** Its gradient: one part for each wanted `[begin, size]`. tfjs's Slice first copies its whole input. */
export const channelSplit = wasmKernel(
  CHANNEL_SPLIT,
  ({ dy }: { dy: TensorInfo }, { parts }: { parts: readonly (readonly [number, number])[] }) => {
    const [n, height, width, total] = dy.shape as [number, number, number, number];
    const outputs = parts.map(([, channels]) => allocate([n, height, width, channels]));
    parts.forEach(([begin, channels], i) => {
      copyRows(n * height * width, channels, beginning(dy) + begin, total, beginning(outputs[i]!), channels);
    });
    return outputs;
  },
);

/** Moves `length` numbers `rows` times. A call for each takes a quarter of the time that a loop over 32 numbers takes. */
function copyRows(rows: number, length: number, from: number, fromStep: number, to: number, toStep: number): void {
  const numbers = floats();
  for (let row = 0; row < rows; row++) {
    const source = from + row * fromStep;
    numbers.copyWithin(to + row * toStep, source, source + length);
  }
}

/** `[N,1,1,C]` → `[N,H,W,C]`, times `factor`: the gradient of a global mean. tfjs's Tile is fifty times slower. */
export const spread = wasmKernel(
  SPREAD,
  ({ x }: { x: TensorInfo }, { height, width, factor }: { height: number; width: number; factor: number }) => {
    const [n, , , channels] = x.shape as [number, number, number, number];
    const output = allocate([n, height, width, channels]);
    const target = view(output);
    const source = view(x);
    const values = height * width * channels;
    for (let image = 0; image < n; image++) {
      const first = image * values;
      for (let c = 0; c < channels; c++) target[first + c] = source[image * channels + c]! * factor;
      // Doubling copies: memory speed.
      for (let done = channels; done < values; done *= 2) {
        target.copyWithin(first + done, first, first + Math.min(done, values - done));
      }
    }
    return output;
  },
);
