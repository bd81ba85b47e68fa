import type { Operation, Tensor } from '../types.ts';
import { empty, STINT, type Work } from './work.ts';

type Pooling = Extract<Operation, { kind: 'maxPool' | 'avgPool' }>;

export function* pool(op: Pooling, x: Tensor, shape: readonly number[]): Work {
  const out = empty(shape);
  const [images, channels, height, width] = shape as [number, number, number, number];
  const [, , sourceHeight, sourceWidth] = x.shape as [number, number, number, number];
  const [kernelHeight, kernelWidth] = op.kernel;
  let done = 0;
  for (let plane = 0, at = 0; plane < images * channels; plane++) {
    for (let y = 0; y < height; y++) {
      const top = y * op.strides[0] - op.pads[0];
      const bottom = Math.min(top + kernelHeight, sourceHeight);
      for (let column = 0; column < width; column++, at++) {
        const left = column * op.strides[1] - op.pads[2];
        const right = Math.min(left + kernelWidth, sourceWidth);
        let best = -Infinity;
        let sum = 0;
        for (let i = Math.max(0, top); i < bottom; i++) {
          for (let j = Math.max(0, left); j < right; j++) {
            const value = x.data[(plane * sourceHeight + i) * sourceWidth + j]!;
            sum += value;
            // A NaN is kept.
            if (!(value <= best)) best = value;
          }
        }
        if (op.kind === 'maxPool') out.data[at] = best;
        else {
          const inside = (bottom - Math.max(0, top)) * (right - Math.max(0, left));
          out.data[at] = sum / (op.countsPadding ? kernelHeight * kernelWidth : inside);
        }
        done += kernelHeight * kernelWidth;
        if (done >= STINT) {
          yield done;
          done = 0;
        }
      }
    }
  }
  yield done;
  return out;
}
