import { beforeAll, describe, expect, it } from 'vitest';
import { STEP_WORDS } from '../../../src/engine/compiled/calls.ts';
import { kept, matrix } from '../../../src/engine/compiled/memory.ts';
import { normKernels } from '../../../src/engine/compiled/wgsl/normKernels.ts';
import { runTwice } from './support/repeated.ts';
import { openBench, type Bench } from './support/runCalls.ts';
import { expectView, scene } from './support/scene.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});

async function run(
  rows: readonly (readonly number[])[],
  labels: readonly number[],
  options: {
    readonly weights?: readonly number[];
    readonly smoothing?: number;
    readonly scale?: number;
    /** In the channels of the logits that are no classes. */
    readonly beyond?: number;
  } = {},
) {
  const s = scene(1);
  const classes = rows[0]!.length;
  const channels = Math.ceil(classes / 4) * 4;
  const logits = s.view('logits', rows.length, channels);
  const data = s.contents.get(logits.matrix)!;
  rows.forEach((row, i) => {
    const at = i * logits.matrix.channels + logits.first;
    data.fill(options.beyond ?? 0, at, at + channels);
    data.set(row, at);
  });
  const gradient = s.view('gradient', rows.length, channels, { before: 8, after: 4 });
  const memory = (name: string, values: ArrayBuffer): ReturnType<typeof kept> => {
    const made = kept(name, values.byteLength / 4);
    s.contents.set(made, new Float32Array(values));
    return made;
  };
  const step = new Float32Array(STEP_WORDS.words);
  step[STEP_WORDS.scale] = options.scale ?? 0.25;
  const stepMemory = memory('step', step.buffer);
  const losses = matrix('losses', 1, Math.ceil(rows.length / 4) * 4);
  const [actual, actualGradient, actualStep] = await runTwice(
    bench,
    normKernels,
    [
      {
        kind: 'crossEntropy',
        node: 'n',
        logits,
        rows: rows.length,
        classes,
        labels: memory('labels', Int32Array.from(labels).buffer),
        classWeights: options.weights ? memory('weights', Float32Array.from(options.weights).buffer) : null,
        smoothing: options.smoothing ?? 0,
        step: stepMemory,
        losses,
        gradient,
      },
    ],
    s.contents,
    [losses, gradient.matrix, stepMemory],
  );
  return {
    losses: [...actual!.subarray(0, rows.length)],
    gradient: actualGradient!,
    view: gradient,
    before: s.contents.get(gradient.matrix)!,
    bad: new Uint32Array(actualStep!.slice().buffer)[STEP_WORDS.bad],
    scale: actualStep![STEP_WORDS.scale],
  };
}

/** torch.nn.functional.cross_entropy in double precision, torch 1.13: losses with reduction none; gradients of a quarter of the sum. */
const logits = [
  [0.5, -1.25, 2, 0, 3.5],
  [10, -10, 0.25, -0.75, 1],
  [-2, -2, -2, -2, -2],
];
const labels = [2, 1, 4];
const weights = [1, 0.5, 2, 1.5, 0.25];
const torch = [
  {
    weighted: false,
    smoothing: 0,
    losses: [1.771374555, 20.000203131, 1.609437912],
    gradients: [
      [0.009488555, 0.001648864, -0.207475246, 0.0057551, 0.190582727],
      [0.249949222, -0.249999999, 1.4571e-5, 5.36e-6, 3.0846e-5],
      [0.05, 0.05, 0.05, 0.05, -0.2],
    ],
  },
  {
    weighted: true,
    smoothing: 0,
    losses: [3.54274911, 10.000101566, 0.402359478],
    gradients: [
      [0.018977111, 0.003297727, -0.414950491, 0.011510199, 0.381165454],
      [0.124974611, -0.125, 7.285e-6, 2.68e-6, 1.5423e-5],
      [0.0125, 0.0125, 0.0125, 0.0125, -0.05],
    ],
  },
  {
    weighted: false,
    smoothing: 0.1,
    losses: [1.876374555, 18.990203131, 1.609437912],
    gradients: [
      [0.004488555, -0.003351136, -0.187475246, 0.0007551, 0.185582727],
      [0.244949222, -0.229999999, -0.004985429, -0.00499464, -0.004969154],
      [0.045, 0.045, 0.045, 0.045, -0.18],
    ],
  },
  {
    weighted: true,
    smoothing: 0.1,
    losses: [3.489468527, 9.957612738, 0.531114511],
    gradients: [
      [0.013075698, 0.000641085, -0.378990343, 0.003463465, 0.361810095],
      [0.133721818, -0.115, -0.009991913, -0.007497025, -0.00123288],
      [0.0115, 0.014, 0.0065, 0.009, -0.041],
    ],
  },
];

describe('cross-entropy', () => {
  it.each(torch)('as torch: class weights $weighted, smoothing $smoothing', async (wanted) => {
    const { weighted, smoothing } = wanted;
    const result = await run(logits, labels, { smoothing, ...(weighted && { weights }) });
    result.losses.forEach((loss, i) => expect(Math.abs(loss / wanted.losses[i]! - 1)).toBeLessThan(1e-6));
    // Channels that are no classes are 0.
    expectView(result.gradient, result.before, result.view, (row, c) => wanted.gradients[row]![c] ?? 0, 1e-7);
    expect(result.bad).toBe(0);
    expect(result.scale).toBe(0.25);
  });

  it('many classes, more than a workgroup has lanes; logits so large that exp overflows', async () => {
    const classes = 1001;
    const s = scene(2);
    const rows = Array.from({ length: 3 }, () =>
      Array.from({ length: classes }, () => Math.fround(s.draw(-10, 10) + 1000)),
    );
    const targets = [0, 1000, 500];
    const smoothing = 0.2;
    const result = await run(rows, targets, { smoothing, scale: 1 });
    const wanted = rows.map((row, i) => {
      const high = Math.max(...row);
      const total = row.reduce((sum, x) => sum + Math.exp(x - high), 0);
      const goal = (c: number): number => (c === targets[i] ? 1 - smoothing : 0) + smoothing / classes;
      const logs = row.map((x) => x - high - Math.log(total));
      return {
        loss: -logs.reduce((sum, value, c) => sum + goal(c) * value, 0),
        gradient: logs.map((value, c) => Math.exp(value) - goal(c)),
      };
    });
    result.losses.forEach((loss, i) => expect(Math.abs(loss / wanted[i]!.loss - 1)).toBeLessThan(1e-5));
    expectView(result.gradient, result.before, result.view, (row, c) => wanted[row]!.gradient[c] ?? 0, 1e-6);
  });

  it('two classes, a hundred rows', async () => {
    const s = scene(3);
    const rows = Array.from({ length: 100 }, () => [Math.fround(s.draw(-3, 3)), Math.fround(s.draw(-3, 3))]);
    const targets = rows.map((_, i) => i % 2);
    const result = await run(rows, targets);
    result.losses.forEach((loss, i) => {
      const [own, other] = [rows[i]![targets[i]!]!, rows[i]![1 - targets[i]!]!];
      expect(loss).toBeCloseTo(Math.log(1 + Math.exp(other - own)), 5);
    });
  });

  it.each([
    ['NaN', Number.NaN],
    ['∞', Infinity],
    ['−∞', -Infinity],
  ])('%s in any class marks the step', async (_, value) => {
    for (const place of [0, 4]) {
      const row = [0.5, 1, 2, 3, 4];
      row[place] = value;
      expect((await run([[1, 2, 3, 4, 5], row], [2, 2])).bad).toBe(1);
    }
  });

  it('finite logits whose difference is not mark the step', async () => {
    expect((await run([[3e38, -3e38]], [1])).bad).toBe(1);
  });

  it('what stands in channels that are no classes is not looked at', async () => {
    const { losses, bad } = await run([[1, 2]], [0], { beyond: Infinity });
    expect(bad).toBe(0);
    expect(losses[0]).toBeCloseTo(Math.log(1 + Math.E), 5);
  });
});
