import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Geometry } from '../../../src/engine/compiled/calls.ts';
import { matrix, plain, whole, type Source, type View } from '../../../src/engine/compiled/memory.ts';
import { normKernels } from '../../../src/engine/compiled/wgsl/normKernels.ts';
import { runTwice } from './support/repeated.ts';
import { openBench, type Bench } from './support/runCalls.ts';
import { expectView, scene, sum, type Scene } from './support/scene.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});

function geometry(
  images: number,
  [height, width]: readonly [number, number],
  kernel: number,
  stride: number,
  padding: number,
): Geometry {
  const out = (size: number): number => Math.floor((size + 2 * padding - kernel) / stride) + 1;
  return { images, height, width, outHeight: out(height), outWidth: out(width), kernel, stride, padding };
}

/** Input rows in the window of an output row, row by row. */
function windowOf(g: Geometry, row: number): number[] {
  const image = Math.floor(row / (g.outHeight * g.outWidth));
  const top = (Math.floor(row / g.outWidth) % g.outHeight) * g.stride - g.padding;
  const left = (row % g.outWidth) * g.stride - g.padding;
  const rows: number[] = [];
  for (let y = top; y < top + g.kernel; y++) {
    for (let x = left; x < left + g.kernel; x++) {
      if (y >= 0 && y < g.height && x >= 0 && x < g.width) rows.push((image * g.height + y) * g.width + x);
    }
  }
  return rows;
}

const inputs = ({ images, height, width }: Geometry): number => images * height * width;
const outputs = ({ images, outHeight, outWidth }: Geometry): number => images * outHeight * outWidth;

const cases = [
  ['3×3, stride 2, padding 1', geometry(2, [9, 12], 3, 2, 1), 12, { norm: true, activation: 'relu', factor: true }],
  ['2×2, stride 2, a rest', geometry(3, [5, 7], 2, 2, 0), 8, {}],
  ['3×3, stride 1, padding 1', geometry(1, [6, 5], 3, 1, 1), 4, {}],
  ['2×2, stride 3: inputs that nobody reads', geometry(1, [8, 9], 2, 3, 0), 4, {}],
  ['5×5, padding 2, smaller map', geometry(2, [3, 2], 5, 1, 2), 4, {}],
] as const;

describe('pools, as defined', () => {
  it.each(cases)('%s', async (_, g, channels, options) => {
    const s = scene(1);
    const source = s.source('x', g.images, g.height * g.width, channels, options);
    const value = (row: number, c: number): number => s.valueOf(source, row, c, g.height * g.width).value;
    const [max, mean] = [s.view('max', outputs(g), channels), s.view('mean', outputs(g), channels)];
    const dy = s.view('dy', outputs(g), channels, { before: 12, after: 0 });
    const [maxGradient, meanGradient] = [s.view('dMax', inputs(g), channels), s.view('dMean', inputs(g), channels)];
    const node = 'n';
    const results = await runTwice(
      bench,
      normKernels,
      [
        { kind: 'maxPool', node, ...g, source, out: max },
        { kind: 'maxPoolBackward', node, ...g, source, dy, gradient: maxGradient },
        { kind: 'avgPool', node, ...g, source, out: mean },
        { kind: 'avgPoolBackward', node, ...g, dy, gradient: meanGradient },
      ],
      s.contents,
      [max, maxGradient, mean, meanGradient].map((view) => view.matrix),
    );
    const before = (view: View): Float32Array => s.contents.get(view.matrix)!;
    expectView(results[0]!, before(max), max, (row, c) => Math.max(...windowOf(g, row).map((r) => value(r, c))));
    // The source's float32 values decide who wins.
    const winner = (row: number, c: number): number =>
      windowOf(g, row).reduce((best, r) => (Math.fround(value(r, c)) > Math.fround(value(best, c)) ? r : best));
    const gathered = (row: number, share: (out: number) => number): number =>
      sum(outputs(g), (out) => (windowOf(g, out).includes(row) ? share(out) : 0));
    expectView(results[1]!, before(maxGradient), maxGradient, (row, c) =>
      gathered(row, (out) => (winner(out, c) === row ? s.at(dy, out, c) : 0)),
    );
    const area = g.kernel ** 2;
    expectView(results[2]!, before(mean), mean, (row, c) => {
      const window = windowOf(g, row);
      return sum(window.length, (i) => value(window[i]!, c)) / area;
    });
    expectView(results[3]!, before(meanGradient), meanGradient, (row, c) =>
      gathered(row, (out) => s.at(dy, out, c) / area),
    );
  });
});

describe('max pool, ties and what is not finite', () => {
  const run = async (values: readonly number[], g: Geometry): Promise<[Float32Array, Float32Array]> => {
    const s = scene(2);
    const x = s.given('x', inputs(g), 4, (row) => values[row]!);
    const dy = s.given('dy', outputs(g), 4, () => 1);
    const [out, gradient] = [matrix('out', outputs(g), 4), matrix('gradient', inputs(g), 4)];
    const [maxima, gradients] = await runTwice(
      bench,
      normKernels,
      [
        { kind: 'maxPool', node: 'n', ...g, source: plain(x), out: whole(out) },
        { kind: 'maxPoolBackward', node: 'n', ...g, source: plain(x), dy, gradient: whole(gradient) },
      ],
      s.contents,
      [out, gradient],
    );
    const firstChannel = (of: Float32Array): Float32Array => of.filter((_, i) => i % 4 === 0);
    return [firstChannel(maxima!), firstChannel(gradients!)];
  };
  const one = geometry(1, [3, 3], 3, 1, 0);

  it('the first of equal maxima takes the gradient', async () => {
    expect(await run([0, 5, 1, 5, 5, 2, 3, 4, 5], one)).toEqual([
      Float32Array.of(5),
      Float32Array.of(0, 1, 0, 0, 0, 0, 0, 0, 0),
    ]);
  });
  it('a map of zeros, as behind a relu, gives every gradient to the first pixel in the map', async () => {
    expect(await run([0, 0, 0, 0], geometry(1, [2, 2], 3, 2, 1))).toEqual([
      Float32Array.of(0),
      Float32Array.of(1, 0, 0, 0),
    ]);
  });
  it('what lies outside never wins', async () => {
    expect(await run([-3, -2, -4, -Infinity], geometry(1, [2, 2], 3, 2, 1))).toEqual([
      Float32Array.of(-2),
      Float32Array.of(0, 1, 0, 0),
    ]);
    expect(await run(Array<number>(4).fill(-Infinity), geometry(1, [2, 2], 2, 2, 0))).toEqual([
      Float32Array.of(-Infinity),
      Float32Array.of(1, 0, 0, 0),
    ]);
  });
  it('NaN wins, wherever it stands', async () => {
    for (const place of [0, 4, 8]) {
      const values = [1, 2, Infinity, 4, 5, 6, 7, 8, 9];
      values[place] = Number.NaN;
      const [maxima, gradients] = await run(values, one);
      expect(maxima[0]).toBeNaN();
      expect(gradients[place]).toBe(1);
    }
  });
});

describe('pools beside tfjs on its cpu backend', () => {
  beforeAll(() => tf.setBackend('cpu'));

  const tensor = (s: Scene, view: View, g: Geometry, out: boolean): tf.Tensor4D => {
    const [height, width] = out ? [g.outHeight, g.outWidth] : [g.height, g.width];
    const data: number[] = [];
    for (let row = 0; row < view.matrix.rows; row++) {
      for (let c = 0; c < view.channels; c++) data.push(s.at(view, row, c));
    }
    return tf.tensor4d(data, [g.images, height, width, view.channels]);
  };

  it.each([
    ['max', geometry(2, [11, 9], 3, 2, 1)],
    ['mean', geometry(2, [11, 9], 2, 2, 0)],
  ] as const)('%s', async (kind, g) => {
    const s = scene(3);
    const source: Source = s.source('x', g.images, g.height * g.width, 8);
    const dy = s.view('dy', outputs(g), 8);
    const [out, gradient] = [matrix('out', outputs(g), 8), matrix('gradient', inputs(g), 8)];
    const node = 'n';
    const forward = { node, ...g, source, out: whole(out) };
    const backward = { node, ...g, dy, gradient: whole(gradient) };
    const [actual, actualGradient] = await runTwice(
      bench,
      normKernels,
      kind === 'max'
        ? [
            { kind: 'maxPool', ...forward },
            { kind: 'maxPoolBackward', ...backward, source },
          ]
        : [
            { kind: 'avgPool', ...forward },
            { kind: 'avgPoolBackward', ...backward },
          ],
      s.contents,
      [out, gradient],
    );
    const pool = (x: tf.Tensor4D): tf.Tensor4D =>
      kind === 'max' ? tf.maxPool(x, g.kernel, g.stride, g.padding) : tf.avgPool(x, g.kernel, g.stride, g.padding);
    const x = tensor(s, source.view, g, false);
    const wanted = pool(x).dataSync();
    const gradientOf = tf.grad(pool as (x: tf.Tensor) => tf.Tensor);
    const wantedGradient = gradientOf(x, tensor(s, dy, g, true)).dataSync();
    expect(wanted.length).toBe(actual!.length);
    wanted.forEach((value, i) => expect(actual![i]).toBeCloseTo(value, 5));
    wantedGradient.forEach((value, i) => expect(actualGradient![i]).toBeCloseTo(value, 5));
  });
});
