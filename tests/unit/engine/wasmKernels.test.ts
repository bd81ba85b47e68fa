import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as tf from '@tensorflow/tfjs';
import type { Engine } from '../../../src/engine/types.ts';
import { ACTIVATION, ACTIVATION_GRADIENT } from '../../../src/engine/reference/ops/activation.ts';
import {
  BATCH_NORM_APPLY,
  BATCH_NORM_GRADIENT,
  BATCH_NORM_STATISTICS,
} from '../../../src/engine/reference/ops/batchNorm.ts';
import { run, runMany } from '../../../src/engine/reference/ops/kernel.ts';
import { openInNode } from '../support/openInNode.ts';
import { distance } from '../support/engineSuites.ts';

// What wasmGradients make of XNNPACK's kernels, against loops in double precision written from the definitions.

let engine: Engine;
beforeAll(async () => {
  engine = await openInNode('wasm');
});
afterAll(() => engine.dispose());

interface Convolution {
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** 0: depthwise. */
  readonly out: number;
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly pad: number;
}

const small = { images: 2, height: 7, width: 9, channels: 17, out: 5, kernel: [3, 3], stride: 1, pad: 1 } as const;
const beyond: readonly Convolution[] = [
  { ...small, kernel: [2, 2], pad: 2 },
  { ...small, kernel: [2, 2], stride: 2, pad: 2 },
  { ...small, kernel: [1, 1], pad: 1 },
  { ...small, kernel: [1, 1], stride: 3, pad: 2 },
];
const convolutions: readonly Convolution[] = [
  small,
  { ...small, pad: 0 },
  { ...small, pad: 2 },
  { ...small, stride: 2 },
  { ...small, stride: 2, pad: 0, height: 8 },
  { ...small, stride: 3, pad: 2 },
  { ...small, kernel: [5, 5], stride: 2, pad: 2 },
  { ...small, kernel: [2, 2], stride: 1, pad: 1 },
  { ...small, kernel: [1, 1], pad: 0 },
  { ...small, kernel: [1, 1], pad: 0, channels: 5, out: 17 },
  { ...small, kernel: [1, 1], stride: 2, pad: 0 },
  // In several pieces: of the images, of the grid, of the rows.
  { images: 3, height: 150, width: 150, channels: 130, out: 1, kernel: [2, 2], stride: 1, pad: 1 },
  { images: 2, height: 60, width: 61, channels: 300, out: 2, kernel: [3, 3], stride: 1, pad: 1 },
  { images: 3, height: 37, width: 41, channels: 3, out: 2, kernel: [1, 1], stride: 1, pad: 0 },
  // Padding beyond what the kernel covers: outputs that saw nothing.
  ...beyond,
];
const depthwise: readonly Convolution[] = [
  ...[...convolutions.slice(0, 8), ...beyond].map((one) => ({ ...one, out: 0 })),
  { images: 2, height: 40, width: 41, channels: 20, out: 0, kernel: [5, 5], stride: 1, pad: 2 },
  { images: 3, height: 150, width: 150, channels: 130, out: 0, kernel: [2, 2], stride: 1, pad: 1 },
];

describe('gradients of convolutions', () => {
  it.each([...convolutions, ...depthwise].map((one) => [describing(one), one] as const))('%s', async (_, one) => {
    const { images, height, width, channels, out, kernel, stride, pad } = one;
    const [outHeight, outWidth] = [height, width].map(
      (size, axis) => Math.floor((size + 2 * pad - kernel[axis]!) / stride) + 1,
    ) as [number, number];
    const x = tf.randomUniform<tf.Rank.R4>([images, height, width, channels], -1, 1, 'float32', 1);
    const dy = tf.randomUniform<tf.Rank.R4>([images, outHeight, outWidth, out || channels], -1, 1, 'float32', 2);
    const filter = tf.randomUniform([...kernel, channels, out || 1], -1, 1, 'float32', 3);
    const name = out > 0 ? 'Conv2D' : 'DepthwiseConv2dNative';
    const attributes = { strides: [stride, stride], pad, filterShape: filter.shape, inputShape: x.shape };
    const dw = run(`${name}BackpropFilter`, { x, dy }, attributes);
    const dx = run(`${name}BackpropInput`, { dy, filter }, attributes);
    expect([dw.shape, dx.shape]).toEqual([filter.shape, x.shape]);
    const expected = gradients(one, outHeight, outWidth, await x.data(), await dy.data(), await filter.data());
    expect(distance(await dw.data(), expected.dw)).toBeLessThan(2e-6 * images * outHeight * outWidth);
    expect(distance(await dx.data(), expected.dx)).toBeLessThan(2e-5);
    tf.dispose([x, dy, filter, dw, dx]);
  });
});

function describing({ images, height, width, channels, out, kernel, stride, pad }: Convolution): string {
  const what = out > 0 ? `${channels} → ${out}` : `${channels}, depthwise`;
  return `${images} × ${height} × ${width} × ${what}, ${kernel.join(' × ')}, stride ${stride}, padding ${pad}`;
}

function gradients(
  { images, height, width, channels, out, kernel, stride, pad }: Convolution,
  outHeight: number,
  outWidth: number,
  x: ArrayLike<number>,
  dy: ArrayLike<number>,
  filter: ArrayLike<number>,
) {
  const dw = new Float64Array(filter.length);
  const dx = new Float64Array(x.length);
  const outputs = out || 1;
  for (let n = 0; n < images; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        for (let ky = 0; ky < kernel[0]; ky++) {
          for (let kx = 0; kx < kernel[1]; kx++) {
            const [iy, ix] = [oy * stride + ky - pad, ox * stride + kx - pad];
            if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
            for (let c = 0; c < channels; c++) {
              const from = ((n * height + iy) * width + ix) * channels + c;
              const weight = ((ky * kernel[1] + kx) * channels + c) * outputs;
              for (let o = 0; o < outputs; o++) {
                const at = ((n * outHeight + oy) * outWidth + ox) * (out || channels) + (out > 0 ? o : c);
                dw[weight + o]! += x[from]! * dy[at]!;
                dx[from]! += filter[weight + o]! * dy[at]!;
              }
            }
          }
        }
      }
    }
  }
  return { dw, dx };
}

describe('batch norm', () => {
  const eps = 1e-3;
  // Fewer rows than XNNPACK adds at a time; not a multiple of it; several chunks.
  it.each([
    [1, 3, 5, 3],
    [2, 9, 11, 5],
    [3, 40, 41, 33],
  ])('%d × %d × %d × %d, with means far from zero', async (n, height, width, channels) => {
    const rows = n * height * width;
    const noise = tf.randomNormal([n, height, width, channels], 0, 1, 'float32', 4);
    const x = tf.add(noise, tf.linspace(-200, 300, channels));
    const dy = tf.add(tf.randomNormal(x.shape, 0, 1, 'float32', 5), 0.5);
    const gamma = tf.randomUniform([channels], 0.5, 2, 'float32', 6);
    const beta = tf.randomUniform([channels], -1, 1, 'float32', 7);
    const moments = run(BATCH_NORM_STATISTICS, { x });
    const y = run(BATCH_NORM_APPLY, { x, moments, gamma, beta }, { eps });
    const [dx, dGamma, dBeta] = runMany(BATCH_NORM_GRADIENT, { x, dy, gamma, moments }, { eps });

    const [values, slopes, scale, shift] = await Promise.all([x, dy, gamma, beta].map((tensor) => tensor.data()));
    const found = await Promise.all([moments, y, dx!, dGamma!, dBeta!].map((tensor) => tensor.data()));
    const expected = [2 * channels, x.size, x.size, channels, channels].map((size) => new Float64Array(size));
    for (let c = 0; c < channels; c++) {
      const column = (of: ArrayLike<number>) => Array.from({ length: rows }, (_, row) => of[row * channels + c]!);
      const average = (numbers: readonly number[]) => numbers.reduce((sum, value) => sum + value, 0) / rows;
      const mean = average(column(values!));
      const variance = average(column(values!).map((value) => (value - mean) ** 2));
      const normalised = column(values!).map((value) => (value - mean) / Math.sqrt(variance + eps));
      const gradient = column(slopes!);
      const [slope, along] = [average(gradient), average(gradient.map((value, row) => value * normalised[row]!))];
      expected[0]![c] = mean;
      expected[0]![channels + c] = variance;
      expected[3]![c] = along * rows;
      expected[4]![c] = slope * rows;
      for (let row = 0; row < rows; row++) {
        const at = row * channels + c;
        expected[1]![at] = normalised[row]! * scale![c]! + shift![c]!;
        const factor = scale![c]! / Math.sqrt(variance + eps);
        expected[2]![at] = factor * (gradient[row]! - slope - normalised[row]! * along);
      }
    }
    const tolerances = [1e-4, 1e-3, 1e-3, 1e-5 * rows, 1e-6 * rows];
    found.forEach((numbers, i) => expect(distance(numbers, expected[i]!), `${i}`).toBeLessThan(tolerances[i]!));
    tf.dispose([noise, x, dy, gamma, beta, moments, y, dx!, dGamma!, dBeta!]);
  });

  it('NaN stays NaN, which XNNPACK’s means do not do', async () => {
    const numbers = Float32Array.from({ length: 64 * 3 }, (_, i) => Math.sin(i));
    const sound = tf.tensor4d(numbers, [1, 8, 8, 3]);
    const broken = tf.tensor4d(numbers.with(3 * 7 + 1, Number.NaN), [1, 8, 8, 3]);
    const gamma = tf.ones([3]);
    const channelsOf = async (tensor: tf.Tensor) => {
      const data = await tensor.data();
      return [0, 1, 2].map((c) => data.every((value, i) => i % 3 !== c || Number.isNaN(value)));
    };
    const moments = run(BATCH_NORM_STATISTICS, { x: sound });
    const brokenMoments = run(BATCH_NORM_STATISTICS, { x: broken });
    const y = run(BATCH_NORM_APPLY, { x: broken, moments: brokenMoments, gamma, beta: gamma }, { eps });
    expect((await channelsOf(y))[1]).toBe(true);
    const [dx, dGamma, dBeta] = runMany(BATCH_NORM_GRADIENT, { x: sound, dy: broken, gamma, moments }, { eps });
    for (const tensor of [dx!, dGamma!, dBeta!]) expect(await channelsOf(tensor)).toEqual([false, true, false]);
    tf.dispose([sound, broken, gamma, moments, brokenMoments, y, dx!, dGamma!, dBeta!]);
  });
});

describe('activations', () => {
  const special = [-4, -3.5, -3, -2.9999, -1, -0, 0, 1e-37, 1e-30, 0.5, 2.9999, 3.5, 4, 1e30];
  // More than a chunk.
  const numbers = Float32Array.from({ length: 40_000 }, (_, i) => special[i] ?? 5 * Math.sin(i));

  it('the gradient of ReLU', async () => {
    const x = tf.relu(tf.tensor1d(numbers));
    const dy = tf.tensor1d(numbers.map((_, i) => Math.cos(i)));
    const dx = run(ACTIVATION_GRADIENT, { x, dy }, { kind: 'relu' });
    const gradient = await dy.data();
    expect(distance(await dx.data(), numbers.map((value, i) => (value > 0 ? gradient[i]! : 0)))).toBe(0); // prettier-ignore
    tf.dispose([x, dy, dx]);
  });

  it('hardswish and its gradient', async () => {
    const x = tf.tensor1d(numbers);
    const dy = tf.tensor1d(numbers.map((_, i) => Math.cos(i)));
    const y = run(ACTIVATION, { x }, { kind: 'hardswish' });
    const dx = run(ACTIVATION_GRADIENT, { x, dy }, { kind: 'hardswish' });
    const expected = (await dy.data()).map((gradient, i) => {
      const value = numbers[i]!;
      return gradient * (value <= -3 ? 0 : value >= 3 ? 1 : value / 3 + 0.5);
    });
    expect(distance(await dx.data(), expected)).toBeLessThan(1e-6);
    const gates = numbers.map((value) => Math.min(6, Math.max(0, value + 3)) / 6);
    const relative = (await y.data()).map((value, i) => value / (numbers[i]! || 1));
    expect(distance(relative, gates.map((gate, i) => (numbers[i] ? gate : 0)))).toBeLessThan(1e-6); // prettier-ignore
    tf.dispose([x, dy, y, dx]);
  });
});
