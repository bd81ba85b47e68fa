import { beforeAll, describe, expect, it } from 'vitest';
import type { Call } from '../../../src/engine/compiled/calls.ts';
import { matrix, whole, type Activation, type Range } from '../../../src/engine/compiled/memory.ts';
import { normKernels } from '../../../src/engine/compiled/wgsl/normKernels.ts';
import { runTwice } from './support/repeated.ts';
import { openBench, type Bench } from './support/runCalls.ts';
import {
  activations,
  expectRange,
  expectRest,
  expectView,
  momentsOf,
  numbers,
  scene,
  sum,
  tilesOf,
} from './support/scene.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});

describe('the backward step of a norm', () => {
  for (const [tiles, channels, of] of [
    [1, 4, 'whole'],
    [5, 300, 'whole'],
    [1_100, 8, 'whole'],
    [5, 300, 'rest'],
    [5, 300, 'added'],
  ] as const) {
    it(`coefficients from ${tiles} tiles of ${channels} channels (${of})`, async () => {
      const s = scene(6);
      const rows = tiles * 8 - 3;
      const sums = s.given('sums', 2 * tiles, channels, () => s.draw(-1, 1));
      const norm = s.norm('norm', channels);
      const start = { gamma: numbers(s, channels, -2, 2), beta: numbers(s, channels, -2, 2) };
      const gradients = s.ranges('gradients', start);
      const before = s.contents.get(gradients.gamma.memory)!;
      const coefficients = s.view('coefficients', 4, channels);
      const [actual, after] = await runTwice(
        bench,
        normKernels,
        [
          {
            kind: 'normBackward',
            node: 'n',
            sums: { matrix: sums.matrix, tiles, tileRows: 8 },
            rows,
            norm,
            gammaGradient: gradients.gamma,
            betaGradient: gradients.beta,
            ...{ coefficients, of },
          },
        ],
        s.contents,
        [coefficients.matrix, gradients.gamma.memory],
      );
      const dz = (c: number): number => sum(tiles, (t) => s.at(sums, 2 * t, c));
      const dzHat = (c: number): number => sum(tiles, (t) => s.at(sums, 2 * t + 1, c));
      const entry = (row: number, c: number): number => s.at(whole(norm), row, c);
      const there = (row: number, c: number): number => (of === 'added' ? s.at(coefficients, row, c) : 0);
      const wanted = [
        (c: number) => (of === 'whole' ? entry(0, c) : 1),
        (c: number) => there(1, c) - (entry(0, c) * entry(3, c) * dzHat(c)) / rows,
        (c: number) =>
          there(2, c) - (entry(0, c) * dz(c)) / rows + ((entry(0, c) * entry(3, c) * dzHat(c)) / rows) * entry(2, c),
        (c: number) => s.at(coefficients, 3, c),
      ];
      expectView(actual!, s.contents.get(coefficients.matrix)!, coefficients, (row, c) => wanted[row]!(c));
      const add = (range: Range, old: readonly number[], by: (c: number) => number): void =>
        expectRange(
          after!,
          range,
          old.map((value, c) => value + by(c)),
          2e-5,
        );
      add(gradients.gamma, start.gamma, dzHat);
      add(gradients.beta, start.beta, dz);
      expectRest(after!, before, [gradients.gamma, gradients.beta], channels);
    });
  }

  for (const [inPlace, accumulate, rows] of [
    [false, false, 23],
    [false, true, 23],
    [true, false, 40_007],
  ] as const) {
    it(`applied${inPlace ? ', in place' : ''}${accumulate ? ', added' : ''}`, async () => {
      const s = scene(7);
      const channels = 16;
      const dz = s.view('dz', rows, channels);
      const x = s.view('x', rows, channels, { before: 12, after: 0 });
      const coefficients = s.view('coefficients', 4, channels, { before: 8, after: 4 });
      const out = inPlace ? dz : s.view('out', rows, channels, { before: 0, after: 4 });
      const [actual] = await runTwice(
        bench,
        normKernels,
        [{ kind: 'normApply', node: 'n', dz, x, coefficients, out, accumulate }],
        s.contents,
        [out.matrix],
      );
      const k = (row: number, c: number): number => s.at(coefficients, row, c);
      expectView(
        actual!,
        s.contents.get(out.matrix)!,
        out,
        (row, c) =>
          (accumulate ? s.at(out, row, c) : 0) + k(0, c) * s.at(dz, row, c) + k(1, c) * s.at(x, row, c) + k(2, c),
      );
    });
  }
});

describe('activationBackward', () => {
  const cases: readonly {
    readonly activation: Activation;
    readonly norm?: boolean;
    readonly factor?: boolean;
    readonly pooled?: boolean;
    readonly gradient?: boolean;
    readonly out: 'own' | 'in place' | 'none';
    readonly accumulate?: boolean;
    readonly sums?: boolean;
  }[] = [
    { activation: 'none', out: 'own', factor: true, pooled: true },
    { activation: 'none', out: 'none', norm: true, sums: true },
    { activation: 'relu', out: 'in place', norm: true, sums: true },
    { activation: 'relu', out: 'in place' },
    { activation: 'hardswish', out: 'own', norm: true, factor: true, pooled: true, sums: true },
    { activation: 'hardsigmoid', out: 'own', norm: true, accumulate: true, factor: true },
    { activation: 'hardsigmoid', out: 'own' },
    { activation: 'relu', out: 'own', norm: true, gradient: false, pooled: true, sums: true },
    { activation: 'none', out: 'own', gradient: false, pooled: true, accumulate: true },
  ];
  for (const { activation, norm = false, gradient: given = true, out: where, accumulate = false, ...rest } of cases) {
    it(JSON.stringify({ activation, norm, gradient: given, out: where, accumulate, ...rest }), async () => {
      const s = scene(8);
      const [images, pixels, channels] = [3, 13, 12];
      const rows = images * pixels;
      const source = s.source('x', images, pixels, channels, { norm, activation });
      const gradient = given ? s.view('gradient', rows, channels, { before: 8, after: 4 }) : null;
      const factor = rest.factor ? s.view('factor', images, channels) : null;
      const pooled = rest.pooled ? s.view('pooled', images, channels, { before: 0, after: 12 }) : null;
      const out = where === 'none' ? null : where === 'in place' ? gradient! : s.view('out', rows, channels);
      const base = { kind: 'activationBackward', node: 'n', gradient, factor, pooled, images, pixels, source } as const;
      const tileRows = normKernels.activationBackward.tileRows!({ ...base, out, accumulate, sums: null });
      const sums = rest.sums ? tilesOf('sums', rows, channels, tileRows) : null;
      const call: Call = { ...base, out, accumulate, sums };
      const wanted = [...(out ? [out.matrix] : []), ...(sums ? [sums.matrix] : [])];
      const results = await runTwice(bench, normKernels, [call], s.contents, wanted);

      const dz = (row: number, c: number): number => {
        const image = Math.floor(row / pixels);
        const value =
          (gradient ? s.at(gradient, row, c) * (factor ? s.at(factor, image, c) : 1) : 0) +
          (pooled ? s.at(pooled, image, c) / pixels : 0);
        return value * s.valueOf(source, row, c, pixels).slope;
      };
      if (out) {
        expectView(
          results.shift()!,
          s.contents.get(out.matrix)!,
          out,
          (row, c) => dz(row, c) + (accumulate ? s.at(out, row, c) : 0),
        );
      }
      if (!sums) return;
      const actual = results.shift()!;
      expectView(actual, actual, whole(sums.matrix), (row, c) => {
        const begin = Math.floor(row / 2) * tileRows;
        return sum(Math.min(tileRows, rows - begin), (i) => {
          const r = begin + i;
          return dz(r, c) * (row % 2 === 0 ? 1 : s.valueOf(source, r, c, pixels).hat);
        });
      });
    });
  }
});

describe('batch norm and activation, as a whole', () => {
  it.each(['none', 'relu', 'hardswish', 'hardsigmoid'] as const)('%s: finite differences', async (activation) => {
    const s = scene(9);
    const [rows, channels, real, eps] = [29, 8, 6, 1e-3];
    const x = s.view('x', rows, channels);
    const r = s.view('r', rows, channels, { before: 0, after: 0 });
    // The last two channels are padding.
    for (const view of [x, r]) {
      const data = s.contents.get(view.matrix)!;
      for (let row = 0; row < rows; row++) {
        data.fill(
          0,
          row * view.matrix.channels + view.first + real,
          row * view.matrix.channels + view.first + channels,
        );
      }
    }
    const pad = (values: number[]): number[] => values.map((value, c) => (c < real ? value : 0));
    const start = {
      gamma: pad(numbers(s, channels, 1, 3)),
      beta: pad(numbers(s, channels, -2, 2)),
    };
    const { gamma, beta } = s.ranges('parameters', start);
    const { runningMean, runningVariance } = s.ranges('running', {
      runningMean: numbers(s, channels, 0, 0),
      runningVariance: numbers(s, channels, 1, 1),
    });
    const { gammaGradient, betaGradient } = s.ranges('gradients', {
      gammaGradient: numbers(s, channels, 0, 0),
      betaGradient: numbers(s, channels, 0, 0),
    });
    const table = matrix('table', 4, channels);
    const coefficients = whole(matrix('coefficients', 4, channels));
    const source = { view: x, norm: table, activation, factor: null };
    const [y, dx] = [matrix('y', rows, channels), matrix('dx', rows, channels)];
    const [partials, sums] = [tilesOf('partials', rows, channels, 8), tilesOf('sums', rows, channels, 16)];
    const moments = matrix('moments', 2, channels);
    const node = 'n';
    const calls: Call[] = [
      { kind: 'statistics', node, view: x, partials },
      {
        kind: 'normTableOfBatch',
        node,
        fresh: { partials, first: 0, channels },
        rows,
        moments,
        first: 0,
        gamma,
        beta,
        eps,
        table,
        runningMean,
        runningVariance,
        momentum: 0.1,
      },
      { kind: 'materialise', node, images: rows, pixels: 1, source, out: whole(y), accumulate: false },
      {
        kind: 'activationBackward',
        node,
        gradient: r,
        factor: null,
        pooled: null,
        images: rows,
        pixels: 1,
        source,
        out: r,
        accumulate: false,
        sums,
      },
      {
        ...{ kind: 'normBackward', node, sums, rows, norm: table, gammaGradient, betaGradient, coefficients },
        of: 'whole',
      },
      { kind: 'normApply', node, dz: r, x, coefficients, out: whole(dx), accumulate: false },
    ];
    const [ys, dxs, gradients] = await runTwice(bench, normKernels, calls, s.contents, [y, dx, gammaGradient.memory]);

    const outputs = (xs: readonly number[], scale: number, shift: number): number[] => {
      const { mean, variance } = momentsOf(rows, (i) => xs[i]!);
      return xs.map((value) => activations[activation]((scale * (value - mean)) / Math.sqrt(variance + eps) + shift));
    };
    const h = 1e-5;
    for (let c = 0; c < channels; c++) {
      const xs = Array.from({ length: rows }, (_, row) => s.at(x, row, c));
      const loss = (values: readonly number[], scale: number, shift: number): number =>
        outputs(values, scale, shift).reduce((total, value, row) => total + value * s.at(r, row, c), 0);
      const [g, b] = [start.gamma[c]!, start.beta[c]!];
      const padding = c >= real;
      const close = (actual: number, expected: number, what: string): void => {
        const error = Math.abs(actual - (padding ? 0 : expected));
        expect(error, `${what} of channel ${c}: ${actual} for ${expected}`).toBeLessThanOrEqual(
          padding ? 0 : 2e-5 * Math.max(1, Math.abs(expected)),
        );
      };
      outputs(xs, g, b).forEach((value, row) => {
        // A hard sigmoid of nothing is 1/2: padding stays 0 only behind functions that keep 0.
        if (!padding || activation !== 'hardsigmoid') close(ys![row * channels + c]!, value, `output ${row}`);
      });
      close(
        gradients![gammaGradient.offset + c]!,
        (loss(xs, g + h, b) - loss(xs, g - h, b)) / (2 * h),
        'gradient of γ',
      );
      close(gradients![betaGradient.offset + c]!, (loss(xs, g, b + h) - loss(xs, g, b - h)) / (2 * h), 'gradient of β');
      for (let row = 0; row < rows; row++) {
        const moved = (by: number): number[] => xs.map((value, i) => (i === row ? value + by : value));
        close(
          dxs![row * channels + c]!,
          (loss(moved(h), g, b) - loss(moved(-h), g, b)) / (2 * h),
          `gradient of x ${row}`,
        );
      }
    }
  });
});
