import { beforeAll, describe, expect, it } from 'vitest';
import { normKernels } from '../../../src/engine/compiled/wgsl/normKernels.ts';
import { runTwice } from './support/repeated.ts';
import { openBench, type Bench } from './support/runCalls.ts';
import { expectRange, expectRest, expectView, scene, sum } from './support/scene.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});

describe('materialise', () => {
  for (const options of [
    {},
    { factor: true },
    { norm: true, activation: 'relu' },
    { norm: true, factor: true, activation: 'hardswish' },
    { norm: true, activation: 'hardsigmoid' },
  ] as const) {
    for (const accumulate of 'factor' in options ? [false, true] : [false]) {
      it(`${JSON.stringify(options)}${accumulate ? ', added' : ''}`, async () => {
        const s = scene(1);
        const source = s.source('x', 3, 7, 12, options);
        const out = s.view('out', 21, 12, { before: 8, after: 4 });
        const [actual] = await runTwice(
          bench,
          normKernels,
          [{ kind: 'materialise', node: 'n', images: 3, pixels: 7, source, out, accumulate }],
          s.contents,
          [out.matrix],
        );
        expectView(
          actual!,
          s.contents.get(out.matrix)!,
          out,
          (row, c) => s.valueOf(source, row, c, 7).value + (accumulate ? s.at(out, row, c) : 0),
        );
      });
    }
  }

  it('goes down columns of several rows, of which the last are fewer', async () => {
    const s = scene(2);
    const [images, pixels, channels] = [3, 11_003, 20];
    const source = s.source('x', images, pixels, channels, { norm: true, activation: 'relu', factor: true });
    const out = s.view('out', images * pixels, channels);
    const [actual] = await runTwice(
      bench,
      normKernels,
      [{ kind: 'materialise', node: 'n', images, pixels, source, out, accumulate: false }],
      s.contents,
      [out.matrix],
    );
    const value = (row: number, c: number): number => s.valueOf(source, row, c, pixels).value;
    expectView(actual!, s.contents.get(out.matrix)!, out, value);
  });

  it('keeps padded channels 0', async () => {
    const s = scene(3);
    const view = s.given('x', 5, 8, (_, c) => (c < 5 ? s.draw(-4, 4) : 0));
    const norm = s.given('norm', 4, 8, (row, c) => (c < 5 || row === 3 ? s.draw(1, 2) : 0)).matrix;
    const out = s.view('out', 5, 8);
    const source = { view, norm, activation: 'hardswish', factor: null } as const;
    const [actual] = await runTwice(
      bench,
      normKernels,
      [{ kind: 'materialise', node: 'n', images: 5, pixels: 1, source, out, accumulate: false }],
      s.contents,
      [out.matrix],
    );
    for (let row = 0; row < 5; row++) {
      const at = row * out.matrix.channels + out.first;
      expect([...actual!.subarray(at + 5, at + 8)]).toEqual([0, 0, 0]);
    }
  });
});

describe('add', () => {
  const cases = [
    [{}, {}],
    [{ norm: true }, { norm: true, activation: 'relu' }],
    [
      { norm: true, activation: 'hardswish', factor: true },
      { norm: true, activation: 'hardsigmoid', factor: true },
    ],
  ] as const;
  for (const [first, second] of cases) {
    it(`${JSON.stringify(first)} + ${JSON.stringify(second)}`, async () => {
      const s = scene(4);
      const [images, pixels, channels] = [2, 15, 8];
      const a = s.source('a', images, pixels, channels, first);
      const b = s.source('b', images, pixels, channels, second);
      const out = s.view('out', images * pixels, channels);
      const [actual] = await runTwice(
        bench,
        normKernels,
        [{ kind: 'add', node: 'n', images, pixels, a, b, out }],
        s.contents,
        [out.matrix],
      );
      expectView(
        actual!,
        s.contents.get(out.matrix)!,
        out,
        (row, c) => s.valueOf(a, row, c, pixels).value + s.valueOf(b, row, c, pixels).value,
      );
    });
  }
});

it('fill sets the channels of a view alone', async () => {
  const s = scene(5);
  const out = s.view('out', 9, 12);
  const [actual] = await runTwice(bench, normKernels, [{ kind: 'fill', node: 'n', out, value: -0.75 }], s.contents, [
    out.matrix,
  ]);
  expectView(actual!, s.contents.get(out.matrix)!, out, () => -0.75, 0);
});

describe('columnSums', () => {
  for (const [rows, channels] of [
    [1, 4],
    [13, 8],
    [700, 300],
    [3001, 12],
  ] as const) {
    it(`${rows} rows, ${channels} channels`, async () => {
      const s = scene(6);
      const dy = s.view('dy', rows, channels);
      const start = Array.from({ length: channels }, () => s.draw(-1, 1));
      const { bias } = s.ranges('gradients', { weight: [1, 2, 3, 4], bias: start });
      const [actual] = await runTwice(
        bench,
        normKernels,
        [{ kind: 'columnSums', node: 'n', dy, gradient: bias }],
        s.contents,
        [bias.memory],
      );
      const expected = start.map((value, c) => value + sum(rows, (row) => s.at(dy, row, c)));
      expectRange(actual!, bias, expected);
      expectRest(actual!, s.contents.get(bias.memory)!, [bias], channels);
    });
  }
});

describe('sums over the pixels of an image', () => {
  for (const [images, pixels, channels, options] of [
    [3, 49, 40, {}],
    [2, 1, 12, { norm: true, activation: 'hardswish' }],
    [5, 785, 8, { norm: true, activation: 'relu', factor: true }],
    [2, 9, 516, { factor: true }],
  ] as const) {
    it(`${images} images of ${pixels} pixels, ${channels} channels, ${JSON.stringify(options)}`, async () => {
      const s = scene(7);
      const source = s.source('x', images, pixels, channels, options);
      const mean = s.view('mean', images, channels);
      const gradient = s.view('gradient', images * pixels, channels, { before: 0, after: 4 });
      const factorGradient = s.view('factor gradient', images, channels);
      const [means, gradients] = await runTwice(
        bench,
        normKernels,
        [
          { kind: 'globalAvgPool', node: 'n', images, pixels, source, out: mean },
          { kind: 'scaleGradient', node: 'n', images, pixels, gradient, source, out: factorGradient },
        ],
        s.contents,
        [mean.matrix, factorGradient.matrix],
      );
      const value = (row: number, c: number): number => s.valueOf(source, row, c, pixels).value;
      expectView(
        means!,
        s.contents.get(mean.matrix)!,
        mean,
        (image, c) => sum(pixels, (pixel) => value(image * pixels + pixel, c)) / pixels,
      );
      const unscaled = { ...source, factor: null };
      expectView(gradients!, s.contents.get(factorGradient.matrix)!, factorGradient, (image, c) =>
        sum(pixels, (pixel) => {
          const row = image * pixels + pixel;
          return s.at(gradient, row, c) * s.valueOf(unscaled, row, c, pixels).value;
        }),
      );
    });
  }
});
