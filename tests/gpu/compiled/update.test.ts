import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STEP_WORDS } from '../../../src/engine/compiled/calls.ts';
import { kept, type Memory } from '../../../src/engine/compiled/memory.ts';
import { CLIP_WORDS, NORM_SPAN, normPartials, type GradientNorm } from '../../../src/engine/compiled/update.ts';
import { commitStatistics, gradientNorm, optimiserStep } from '../../../src/engine/compiled/wgsl/update.ts';
import { createOptimiser } from '../../../src/engine/reference/optimisers/index.ts';
import type { Engine, Network, OptimiserSettings } from '../../../src/engine/types.ts';
import { random } from '../../../src/random.ts';
import { optimiserOf } from '../../../src/training/optimiser.ts';
import optimisers from '../../fixtures/optimisers.json' with { type: 'json' };
import { options, stepsGraph } from '../../unit/support/engineSuites.ts';
import { formulaWeights } from '../../unit/support/formulaWeights.ts';
import { openInNode } from '../../unit/support/openInNode.ts';
import { batch, type OptimiserCase } from '../../unit/support/optimiserSuite.ts';
import { openBench, runDispatches, type Bench } from './support/runCalls.ts';
import { sameBits } from './support/sameBits.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});

const sgd: OptimiserSettings = { kind: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 0 };
const adam = options.optimiser;

function normal(seed: number, count: number): Float32Array {
  const draw = random(seed, 2);
  return Float32Array.from({ length: count }, () => draw.normal());
}

const bits = (values: Float32Array): Uint32Array => new Uint32Array(values.slice().buffer);

/** Flat memories of an update, with contents. */
function flat(settings: OptimiserSettings, maxNorm: number | null, begin: number, end: number, floats = end) {
  const optimiser = createOptimiser(settings);
  const value = kept('value', floats);
  const gradient = kept('gradient', floats);
  const slots = optimiser.slots.map((name) => kept(name, floats));
  const step = kept('step', STEP_WORDS.words);
  const clip = kept('clip', CLIP_WORDS.words);
  const norm: GradientNorm = {
    gradient,
    begin,
    end,
    maxNorm,
    scaled: false,
    partials: kept('partials', normPartials({ begin, end })),
    clip,
    step,
  };
  const call = { value, gradient, slots, begin, end, step, clip: maxNorm === null ? null : clip };
  const contents = new Map<Memory, Float32Array>(
    [value, gradient, ...slots].map((memory) => [memory, new Float32Array(floats)]),
  );
  const dispatches = [...gradientNorm(norm), ...optimiserStep(call, optimiser)];
  const words = (rate: number, at: number, bad = 0): Float32Array => {
    const made = new Float32Array(STEP_WORDS.words);
    new Uint32Array(made.buffer)[STEP_WORDS.bad] = bad;
    made.set(optimiser.at(rate, at).floats, STEP_WORDS.optimiser);
    return made;
  };
  return { optimiser, value, gradient, slots, step, clip, contents, dispatches, norm, words };
}

describe('ten steps of a small network, as torch', () => {
  // Gives the gradients: a momentum buffer that was 0 is the gradient after a step, and at a rate of 0 nothing moves.
  let engine: Engine;
  let network: Network;
  beforeAll(async () => {
    engine = await openInNode('cpu');
    network = await engine.build(stepsGraph, formulaWeights(stepsGraph), { ...options, optimiser: sgd });
  });
  afterAll(() => engine.dispose());

  it.each(Object.entries(optimisers as Record<string, OptimiserCase>))('%s', async (_, expected) => {
    const { momentum = 0, nesterov = false, rate } = expected;
    const weights = new Map(formulaWeights(stepsGraph));
    await network.writeWeights(weights);
    const zero = await network.readOptimiser();
    for (const { data } of zero.moments.values()) data.fill(0);
    const names = [...zero.moments.keys()].map((key) => key.slice(0, key.lastIndexOf('.')));
    const starts = new Map<string, number>();
    let end = 0;
    for (const name of names) {
      starts.set(name, end);
      end += Math.ceil(weights.get(name)!.data.length / 4) * 4;
    }
    const settings = optimiserOf({ ...expected, momentum, nesterov });
    const { value, gradient, slots, step, clip, contents, dispatches, words } = flat(
      settings,
      expected.clip_norm,
      0,
      end,
    );
    for (const name of names) contents.get(value)!.set(weights.get(name)!.data, starts.get(name));

    for (let at = 0; at < expected.losses.length; at++) {
      await network.writeOptimiser(zero);
      expect((await network.trainStep(batch(at, expected.parts), 0)).loss).toBeCloseTo(expected.losses[at]!, 4);
      const { moments } = await network.readOptimiser();
      for (const name of names) {
        contents.get(gradient)!.set(moments.get(`${name}.momentum_buffer`)!.data, starts.get(name));
      }
      contents.set(step, words(rate, at + 1));
      const wanted = [value, ...slots, clip];
      const made = await runDispatches(bench, dispatches, contents, wanted);
      wanted.forEach((memory, i) => contents.set(memory, made[i]!));
      // They are stored with four digits.
      expect(contents.get(clip)![CLIP_WORDS.norm]! / expected.norms[at]! - 1).toBeCloseTo(0, 3);
      for (const [name, start] of starts) {
        const { shape, data } = weights.get(name)!;
        weights.set(name, { shape, data: contents.get(value)!.slice(start, start + data.length) });
      }
      // With the running statistics that the step has moved.
      const now = await network.readWeights();
      await network.writeWeights(new Map([...now, ...names.map((name) => [name, weights.get(name)!] as const)]));
    }

    const origin = formulaWeights(stepsGraph);
    for (const [name, values] of Object.entries(expected.weights)) {
      if (!starts.has(name)) continue;
      const found = weights.get(name)!.data;
      const start = origin.get(name)!.data;
      const error = Math.hypot(...values.map((one, i) => found[i]! - one));
      const way = Math.hypot(...values.map((one, i) => one - start[i]!));
      expect(error / way, name).toBeLessThan(Math.max(1e-4, 3 * expected.spread.weights));
    }
    for (const [key, values] of Object.entries(expected.state)) {
      const [name, slot] = [key.slice(0, key.lastIndexOf('.')), key.slice(key.lastIndexOf('.') + 1)];
      const memory = slots.find((one) => one.name === slot)!;
      const found = contents.get(memory)!.subarray(starts.get(name));
      const error = Math.hypot(...values.map((one, i) => found[i]! - one));
      expect(error / Math.hypot(...values), key).toBeLessThan(Math.max(2e-5, 3 * expected.spread.state));
    }
  });
});

describe('gradients are clipped', () => {
  const floats = 2 * NORM_SPAN + 1236;
  const [begin, end] = [8, floats - 8];

  it.each([
    ['by their norm', 0.5],
    ['not, where their norm is less', 1e4],
  ])('%s', async (_, maxNorm) => {
    const { value, gradient, slots, step, clip, contents, dispatches, words } = flat(sgd, maxNorm, begin, end, floats);
    const gradients = normal(1, floats);
    contents.set(gradient, gradients).set(value, normal(2, floats)).set(step, words(0.1, 1));
    contents.set(slots[0]!, normal(3, floats));
    const wanted = [clip, value, slots[0]!, step];
    const found = await runDispatches(bench, dispatches, contents, wanted);
    sameBits(await runDispatches(bench, dispatches, contents, wanted), found);

    let sum = 0;
    for (let i = begin; i < end; i++) sum += gradients[i]! ** 2;
    const norm = Math.sqrt(sum);
    const factor = Math.min(1, maxNorm / (norm + 1e-6));
    expect(found[0]![CLIP_WORDS.norm]! / norm - 1).toBeCloseTo(0, 6);
    expect(found[0]![CLIP_WORDS.factor]! / factor - 1).toBeCloseTo(0, 6);
    let largest = 0;
    for (let i = 0; i < floats; i++) {
      const inside = i >= begin && i < end;
      const [before, carried] = [contents.get(value)![i]!, contents.get(slots[0]!)![i]!];
      const moved = inside ? 0.9 * carried + factor * gradients[i]! : carried;
      const expected = inside ? before - 0.1 * moved : before;
      largest = Math.max(largest, Math.abs(found[1]![i]! - expected), Math.abs(found[2]![i]! - moved));
    }
    expect(largest).toBeLessThan(2e-6);
    expect(bits(found[3]!)[STEP_WORDS.bad]).toBe(0);
  });
});

describe('a step that went wrong leaves every bit as it was', () => {
  const floats = NORM_SPAN + 264;
  const cases = [
    ['a loss that is no number', 1, 0, false],
    ['a gradient that is no number', 0, Number.NaN, false],
    ['an infinite gradient', 0, Infinity, true],
  ] as const;
  it.each(cases)('%s', async (_, bad, poison, clipped) => {
    const { value, gradient, slots, step, contents, dispatches, words } = flat(adam, clipped ? 1 : null, 0, floats);
    const gradients = normal(4, floats);
    gradients[floats - 5] += poison;
    const before = [value, ...slots].map((memory, i) => {
      const made = normal(5 + i, floats).map(Math.abs);
      contents.set(memory, made);
      return made;
    });
    contents.set(gradient, gradients).set(step, words(0.1, 1, bad));
    const [stepAfter, ...after] = await runDispatches(bench, dispatches, contents, [step, value, ...slots]);
    sameBits(after, before);
    expect(bits(stepAfter!)[STEP_WORDS.bad]).toBe(1);
  });

  it.each([0, 1])('running statistics, bad: %i', async (bad) => {
    const step = kept('step', STEP_WORDS.words);
    const running = kept('running', 100);
    const pending = kept('pending', 100);
    // Any bits: of numbers that are none, of the smallest, of zeros with a sign.
    const draw = random(9, 3);
    const made = [running, pending].map(() =>
      Uint32Array.from({ length: 100 }, (_, i) =>
        i === 0 ? 0x7fc00123 : i === 1 ? 1 : i === 2 ? 0x80000000 : draw.integer(2 ** 32),
      ),
    );
    const words = new Uint32Array(STEP_WORDS.words);
    words[STEP_WORDS.bad] = bad;
    const contents = new Map<Memory, Float32Array>([
      [step, new Float32Array(words.buffer)],
      [running, new Float32Array(made[0]!.buffer)],
      [pending, new Float32Array(made[1]!.buffer)],
    ]);
    const found = await runDispatches(bench, commitStatistics({ running, pending, step }), contents, [
      running,
      pending,
    ]);
    const stays = made[1 - bad]!;
    expect(found.map(bits)).toEqual([stays, stays]);
  });
});
