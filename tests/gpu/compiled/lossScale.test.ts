import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Float16RangeError } from '../../../src/engine/errors.ts';
import type { Engine, LossScale, Network, NetworkOptions } from '../../../src/engine/types.ts';
import { options, stepsBatch, stepsGraph } from '../../unit/support/engineSuites.ts';
import { formulaWeights } from '../../unit/support/formulaWeights.ts';
import { openInNode } from '../../unit/support/openInNode.ts';
import steps from '../../fixtures/steps.json' with { type: 'json' };

/** Scaling by powers of 2 rounds nothing, so that most of this can be said to the bit. */
let engine: Engine;
beforeAll(async () => {
  engine = await openInNode('webgpu');
});
afterAll(() => engine.dispose());

const float16 = { ...options, precision: 'float16' } as const;
const rate = 0.01;
const batch = (step: number) => stepsBatch(step, [4, 2]);

async function build(given: NetworkOptions = float16, lossScale?: LossScale): Promise<Network> {
  const network = await engine.build(stepsGraph, formulaWeights(stepsGraph), given);
  if (lossScale) await network.writeOptimiser({ ...(await network.readOptimiser()), lossScale });
  return network;
}
const stateOf = async (network: Network) => ({
  weights: await network.readWeights(),
  optimiser: await network.readOptimiser(),
});

describe('a step whose gradients float16 cannot hold', () => {
  it('is skipped: nothing moves but the scale, which is halved, and the loss is told', async () => {
    const network = await build(float16, { scale: 2 ** 40, good: 7, skipped: 0 });
    const before = await stateOf(network);
    const result = await network.trainStep(batch(0), rate);
    expect(result.skipped).toBe(true);
    const { loss } = await (await build()).trainStep(batch(0), rate);
    expect(result.loss).toBe(loss);
    const after = await stateOf(network);
    expect(after.weights).toEqual(before.weights);
    expect(after.optimiser).toEqual({
      ...before.optimiser,
      lossScale: { scale: 2 ** 39, good: 0, skipped: 1 },
    });
    network.dispose();
  });

  it('is followed by ones at smaller scales until one fits: then all is as if it had begun there', async () => {
    const network = await build(float16, { scale: 2 ** 34, good: 0, skipped: 0 });
    let skipped = 0;
    while ((await network.trainStep(batch(0), rate)).skipped) skipped++;
    expect(skipped).toBeGreaterThan(1);
    const lossScale = { scale: 2 ** (34 - skipped), good: 0, skipped: 0 };
    const other = await build(float16, lossScale);
    expect((await other.trainStep(batch(0), rate)).skipped).toBeUndefined();
    expect(await stateOf(network)).toEqual(await stateOf(other));
    expect((await network.readOptimiser()).lossScale).toEqual({ ...lossScale, good: 1 });
    network.dispose();
    other.dispose();
  });

  it('twenty times in a row is an error that says what to do; the network is as it was', async () => {
    const network = await build();
    await network.trainStep(batch(0), rate);
    const { weights } = await stateOf(network);
    const parts = batch(1);
    parts[1]!.images[7] = Number.NaN;
    for (let i = 0; i < 19; i++) {
      const { loss, skipped } = await network.trainStep(parts, rate);
      expect(loss).toBeNaN();
      expect(skipped).toBe(true);
    }
    await expect(network.trainStep(parts, rate)).rejects.toThrow(Float16RangeError);
    expect(await network.readWeights()).toEqual(weights);
    network.dispose();
  });
});

describe('what the scale leaves alone', () => {
  it.each([
    ['Adam', options.optimiser, null],
    ['clipped SGD', { kind: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 0 }, 0.01],
  ] as const)('%s: two scales that fit give the same weights but for small gradients that vanish', async (...given) => {
    const [, optimiser, clipNorm] = given;
    const [low, high] = await Promise.all(
      [2 ** 8, 2 ** 10].map(async (scale) => {
        const network = await build({ ...float16, optimiser, clipNorm }, { scale, good: 0, skipped: 0 });
        for (let step = 0; step < 3; step++) await network.trainStep(batch(step), rate);
        const { moments } = await network.readOptimiser();
        network.dispose();
        return moments;
      }),
    );
    for (const [name, { data }] of low!) {
      const [norm, apart] = [Math.hypot(...data), Math.hypot(...data.map((one, i) => one - high!.get(name)!.data[i]!))];
      expect(apart, name).toBeLessThanOrEqual(2e-3 * norm + 1e-7);
    }
  });

  it('grows after 2,000 good steps', async () => {
    const network = await build(float16, { scale: 2 ** 9, good: 1999, skipped: 0 });
    await network.trainStep(batch(0), rate);
    expect((await network.readOptimiser()).lossScale).toEqual({ scale: 2 ** 10, good: 0, skipped: 0 });
    network.dispose();
  });
});

it('a run that goes on from what was read is the same to the bit, skipped steps and all', async () => {
  const network = await build(float16, { scale: 2 ** 36, good: 0, skipped: 0 });
  const losses: number[] = [];
  let kept: Awaited<ReturnType<typeof stateOf>> | null = null;
  for (let step = 0; step < 30; step++) {
    if (step === 3) kept = await stateOf(network);
    losses.push((await network.trainStep(batch(step % 5), rate)).loss);
  }
  const resumed = await engine.build(stepsGraph, kept!.weights, float16);
  await resumed.writeOptimiser(kept!.optimiser);
  const again: number[] = [];
  for (let step = 3; step < 30; step++) again.push((await resumed.trainStep(batch(step % 5), rate)).loss);
  expect(again).toEqual(losses.slice(3));
  expect(await stateOf(resumed)).toEqual(await stateOf(network));
  expect((await stateOf(network)).optimiser.step).toBeLessThan(30);
  network.dispose();
  resumed.dispose();
});

it('steps that are handed over ahead of a skipped one are the same to the bit as one after the other', async () => {
  const scale = { scale: 2 ** 34, good: 0, skipped: 0 };
  const [ahead, inTurn] = [await build(float16, scale), await build(float16, scale)];
  const results = await Promise.all(Array.from({ length: 24 }, (_, step) => ahead.trainStep(batch(step % 5), rate)));
  for (const [step, result] of results.entries()) expect(await inTurn.trainStep(batch(step % 5), rate)).toEqual(result);
  expect(results[0]!.skipped).toBe(true);
  expect(results.at(-1)!.skipped).toBeUndefined();
  expect(await stateOf(ahead)).toEqual(await stateOf(inTurn));
  ahead.dispose();
  inTurn.dispose();
});

it('five steps of a network with every layer have torch’s losses within 1 %, whole and in two parts', async () => {
  for (const name of ['whole batch', 'two parts'] as const) {
    const { parts, losses, momentum } = steps[name];
    const network = await build({ ...float16, batchNormMomentum: momentum });
    for (let step = 0; step < 5; step++) {
      const { loss } = await network.trainStep(stepsBatch(step, parts), steps.network.learningRate);
      expect(Math.abs(loss / losses[step]! - 1), `step ${step}, ${name}`).toBeLessThan(0.01);
    }
    network.dispose();
  }
});
