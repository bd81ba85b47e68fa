import { beforeAll, describe, expect, it } from 'vitest';
import type { Call } from '../../../src/engine/compiled/calls.ts';
import { matrix, whole } from '../../../src/engine/compiled/memory.ts';
import { normKernels } from '../../../src/engine/compiled/wgsl/normKernels.ts';
import { runTwice } from './support/repeated.ts';
import { openBench, type Bench } from './support/runCalls.ts';
import { expectRange, expectRest, expectView, momentsOf, numbers, scene, tilesOf } from './support/scene.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});

describe('statistics', () => {
  for (const [rows, channels, tileRows] of [
    [37, 8, undefined],
    [64, 12, 16],
    [1, 4, undefined],
    [200, 264, 64],
  ] as const) {
    it(`${rows} rows, ${channels} channels, tiles of ${tileRows ?? 'its own'}`, async () => {
      const s = scene(1);
      const view = s.view('x', rows, channels);
      const unknown = tilesOf('unknown', rows, channels, 1);
      const size =
        tileRows ?? normKernels.statistics.tileRows!({ kind: 'statistics', node: 'n', view, partials: unknown });
      const partials = tilesOf('partials', rows, channels, size);
      const [actual] = await runTwice(
        bench,
        normKernels,
        [{ kind: 'statistics', node: 'n', view, partials }],
        s.contents,
        [partials.matrix],
      );
      expectView(actual!, actual!, whole(partials.matrix), (row, c) => {
        const begin = Math.floor(row / 2) * size;
        const count = Math.min(size, rows - begin);
        const { mean, variance } = momentsOf(count, (i) => s.at(view, begin + i, c));
        return row % 2 === 0 ? mean : variance * count;
      });
    });
  }
});

describe('the table of a batch', () => {
  it('takes fresh moments from tiles and the others as they are, the norm beginning where it likes', async () => {
    const s = scene(2);
    const [rows, tileRows, channels, first] = [83, 16, 20, 4];
    // Moments of 32 channels: the norm has 4 … 23, fresh are 16 … 23, beside those of others.
    const moments = s.given('moments', 2, 32, (row) => (row === 0 ? s.draw(-2, 2) : s.draw(0.1, 2)));
    const x = s.view('x', rows, 8);
    const partials = tilesOf('partials', rows, 8, tileRows);
    const start = {
      gamma: numbers(s, channels, -2, 2),
      beta: numbers(s, channels, -2, 2),
      mean: numbers(s, channels, -2, 2),
      variance: numbers(s, channels, 0.5, 2),
    };
    const { gamma, beta } = s.ranges('parameters', { gamma: start.gamma, beta: start.beta });
    const running = s.ranges('running', { mean: start.mean, variance: start.variance });
    const table = matrix('table', 4, channels);
    const eps = 1e-3;
    const calls: Call[] = [
      { kind: 'statistics', node: 'n', view: x, partials },
      {
        kind: 'normTableOfBatch',
        node: 'n',
        fresh: { partials, first: 16, channels: 8 },
        rows,
        moments: moments.matrix,
        first,
        gamma,
        beta,
        eps,
        table,
        runningMean: running.mean,
        runningVariance: running.variance,
        momentum: 0.3,
      },
    ];
    const before = s.contents.get(running.mean.memory)!;
    const [tables, actualMoments, statistics] = await runTwice(bench, normKernels, calls, s.contents, [
      table,
      moments.matrix,
      running.mean.memory,
    ]);
    const known = (c: number): { mean: number; variance: number } => {
      if (c < 16 || c >= 24) return { mean: s.at(moments, 0, c), variance: s.at(moments, 1, c) };
      return momentsOf(rows, (row) => s.at(x, row, c - 16));
    };
    expectView(actualMoments!, actualMoments!, moments, (row, c) => (row === 0 ? known(c).mean : known(c).variance));
    expectView(tables!, tables!, whole(table), (row, c) => {
      const { mean, variance } = known(first + c);
      const inverse = 1 / Math.sqrt(variance + eps);
      const scale = start.gamma[c]! * inverse;
      return [scale, start.beta[c]! - scale * mean, mean, inverse][row]!;
    });
    expectRange(
      statistics!,
      running.mean,
      start.mean.map((value, c) => 0.7 * value + 0.3 * known(first + c).mean),
    );
    expectRange(
      statistics!,
      running.variance,
      start.variance.map((value, c) => 0.7 * value + 0.3 * known(first + c).variance * (rows / (rows - 1))),
    );
    expectRest(statistics!, before, [running.mean, running.variance], channels);
  });

  it('needs no fresh moments', async () => {
    const s = scene(3);
    const moments = s.given('moments', 2, 8, (row) => (row === 0 ? s.draw(-2, 2) : s.draw(0.1, 2)));
    // All in one memory.
    const { gamma, beta, mean, variance } = s.ranges('parameters', {
      gamma: [1, 2, 3, 4],
      beta: [4, 3, 2, 1],
      mean: [0, 0, 0, 0],
      variance: [1, 1, 1, 1],
    });
    const table = matrix('table', 4, 4);
    const [tables, after] = await runTwice(
      bench,
      normKernels,
      [
        {
          kind: 'normTableOfBatch',
          node: 'n',
          fresh: null,
          rows: 2,
          moments: moments.matrix,
          first: 4,
          gamma,
          beta,
          eps: 1e-5,
          table,
          runningMean: mean,
          runningVariance: variance,
          momentum: 0.1,
        },
      ],
      s.contents,
      [table, mean.memory],
    );
    expectView(tables!, tables!, whole(table), (row, c) => {
      const inverse = 1 / Math.sqrt(s.at(moments, 1, 4 + c) + 1e-5);
      const scale = (c + 1) * inverse;
      return [scale, 4 - c - scale * s.at(moments, 0, 4 + c), s.at(moments, 0, 4 + c), inverse][row]!;
    });
    expectRange(
      after!,
      mean,
      [0, 1, 2, 3].map((c) => 0.1 * s.at(moments, 0, 4 + c)),
    );
    // 2 rows: the unbiased variance is twice the biased one.
    expectRange(
      after!,
      variance,
      [0, 1, 2, 3].map((c) => 0.9 + 0.2 * s.at(moments, 1, 4 + c)),
    );
  });

  it.each([
    ['many tiles of few channels', 20_011, 8, 8, 0, 1],
    ['a mean 10⁴ deviations large', 3_001, 12, 64, 1e4, 1],
    ['a mean 10⁶ deviations large, where float32 has 4 bits left', 1_000, 4, 8, 1e6, 1],
    ['a tiny deviation', 300, 4, 32, 3, 1e-4],
  ])('is exact: %s', async (_, rows, channels, tileRows, mean, deviation) => {
    const s = scene(4);
    const x = s.given('x', rows, channels, (__, c) => mean + deviation * (c + s.draw(-1, 1)));
    const partials = tilesOf('partials', rows, channels, tileRows);
    const { gamma, beta } = s.ranges('parameters', {
      gamma: numbers(s, channels, 1, 2),
      beta: numbers(s, channels, -1, 1),
    });
    const running = s.ranges('running', {
      mean: numbers(s, channels, 0, 0),
      variance: numbers(s, channels, 1, 1),
    });
    const moments = matrix('moments', 2, channels);
    const [actual] = await runTwice(
      bench,
      normKernels,
      [
        { kind: 'statistics', node: 'n', view: x, partials },
        {
          kind: 'normTableOfBatch',
          node: 'n',
          fresh: { partials, first: 0, channels },
          rows,
          moments,
          first: 0,
          gamma,
          beta,
          eps: 1e-5,
          table: matrix('table', 4, channels),
          runningMean: running.mean,
          runningVariance: running.variance,
          momentum: 0.1,
        },
      ],
      s.contents,
      [moments],
    );
    for (let c = 0; c < channels; c++) {
      const wanted = momentsOf(rows, (row) => s.at(x, row, c));
      // Tiles' means are rounded to float32: half a unit each, against which their own spread is at most the deviation.
      const unit = Math.abs(wanted.mean) * 2 ** -23;
      expect(Math.abs(actual![c]! - wanted.mean)).toBeLessThanOrEqual(2 * unit + 1e-6);
      const variance = actual![channels + c]!;
      expect(Math.abs(variance / wanted.variance - 1)).toBeLessThanOrEqual(1e-5 + unit / Math.sqrt(wanted.variance));
    }
  });
});

it('the table of running statistics', async () => {
  const s = scene(5);
  const channels = 12;
  const start = { gamma: numbers(s, channels, -2, 2), beta: numbers(s, channels, -2, 2) };
  const statistics = { mean: numbers(s, channels, -2, 2), variance: numbers(s, channels, 0.5, 2) };
  const { gamma, beta } = s.ranges('parameters', start);
  const { mean: runningMean, variance: runningVariance } = s.ranges('running', statistics);
  const table = matrix('table', 4, channels);
  const [actual] = await runTwice(
    bench,
    normKernels,
    [{ kind: 'normTableOfRunning', node: 'n', gamma, beta, eps: 0.01, runningMean, runningVariance, table }],
    s.contents,
    [table],
  );
  expectView(actual!, actual!, whole(table), (row, c) => {
    const inverse = 1 / Math.sqrt(statistics.variance[c]! + 0.01);
    const scale = start.gamma[c]! * inverse;
    return [scale, start.beta[c]! - scale * statistics.mean[c]!, statistics.mean[c]!, inverse][row]!;
  });
});
