import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestAdapter, describeAdapter } from '../../../src/engine/adapter.ts';
import { compiledNetworks, traitsOf } from '../../../src/engine/compiled/engine.ts';
import { compiledBytes } from '../../../src/engine/compiled/fit.ts';
import { worksOf } from '../../../src/engine/compiled/device/commands.ts';
import { trainingPlan } from '../../../src/engine/compiled/plan/training.ts';
import { wgslKernels } from '../../../src/engine/compiled/wgsl/kernels.ts';
import { createEngine } from '../../../src/engine/reference/engine.ts';
import { openWebGpu } from '../../../src/engine/reference/webgpuBackend.ts';
import type { Engine, LabelledBatch, NetworkOptions } from '../../../src/engine/types.ts';
import { buildGraph } from '../../../src/architectures/index.ts';
import type { Graph, Weights } from '../../../src/graph/types.ts';
import { nodeEngineEnvironment } from '../../../src/platform/node/engineEnvironment.ts';
import { formulaWeights, signed } from '../../unit/support/formulaWeights.ts';
import { graphsByHand } from '../../unit/support/graphsByHand.ts';
import { openInNode } from '../../unit/support/openInNode.ts';
import { countersOf } from './support/deviceCounters.ts';

/**
 * Whole networks on the compiled engine beside the reference runtime on wasm. All in one file and on one device: shaders are compiled
 * once a process.
 */
/** A software adapter takes minutes to compile what a GPU's kernels are; `npm run verify -- gpu-kernels` looks at them. */
const all = process.env['PACERID_ALL_STEPS'] === '1';
const options: NetworkOptions = {
  trainable: 'all',
  optimiser: { kind: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 0 },
  clipNorm: null,
  batchNormMomentum: null,
  seed: 1,
};

let reference: Engine;
let compiled: Engine;
/** The same device with the kernels that a GPU gets. */
let asOnGpu: Engine;
let device: GPUDevice;
beforeAll(async () => {
  reference = await openInNode('wasm');
  const adapter = (await requestAdapter(await nodeEngineEnvironment({ gpu: true })))!;
  const open = { ...(await openWebGpu(adapter)), inPlace: null };
  device = open.device!;
  const report = describeAdapter(adapter, null);
  compiled = createEngine(report, open, compiledNetworks(device, report));
  asOnGpu = createEngine(report, open, compiledNetworks(device, { software: false }));
});
afterAll(async () => {
  await compiled.dispose();
  await reference.dispose();
});

function batchOf(name: string, n: number, size: number): LabelledBatch {
  const images = Float32Array.from(signed(name, n * size * size * 3), (value) => Math.fround(value) * 2);
  return { images, n, size, labels: Int32Array.from({ length: n }, (_, i) => (3 * i + name.length) % 5) };
}

/** Largest difference as a share of the largest value; NaN counts as infinite. */
function share(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(found.length).toBe(expected.length);
  let [difference, largest] = [0, 0];
  for (let i = 0; i < found.length; i++) {
    const one = Math.abs(found[i]! - expected[i]!);
    if (!(one <= difference)) difference = Number.isNaN(one) ? Infinity : one;
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return difference / Math.max(largest, 1e-3);
}

interface Trained {
  readonly losses: number[];
  readonly logits: Float32Array[];
  readonly weights: Weights;
  readonly predicted: Float32Array;
  readonly features: Float32Array;
}

/** One step for each of `steps`, a batch in parts; then what is predicted, and the features. */
async function trained(
  engine: Engine,
  graph: Graph,
  steps: readonly (readonly LabelledBatch[])[],
  given: NetworkOptions = options,
  rate = 0.02,
): Promise<Trained> {
  const network = await engine.build(graph, formulaWeights(graph), given);
  const losses: number[] = [];
  const logits: Float32Array[] = [];
  for (const parts of steps) {
    const result = await network.trainStep(parts, rate);
    losses.push(result.loss);
    logits.push(result.logits);
  }
  const last = steps.at(-1)![0]!;
  const predicted = await network.predict(last);
  const features = await network.features(last);
  const weights = await network.readWeights();
  network.dispose();
  return { losses, logits, weights, predicted, features };
}

interface Differences {
  readonly losses: number;
  readonly logits: number;
  /** As a share of what training has changed of a parameter or statistic (norms): of itself, a gradient of zeros would go unnoticed. */
  readonly change: number;
  /** The same of the parameter in the middle. */
  readonly typical: number;
  /** The parameter in which it is largest. */
  readonly where: string;
  readonly predicted: number;
  readonly features: number;
}

function differences(graph: Graph, found: Trained, expected: Trained): Differences {
  const before = formulaWeights(graph);
  let [change, where] = [0, ''];
  const changes: number[] = [];
  for (const [name, { data }] of expected.weights) {
    const start = before.get(name)!.data;
    const mine = found.weights.get(name)!.data;
    let [off, moved, size] = [0, 0, 0];
    for (let i = 0; i < data.length; i++) {
      off += (mine[i]! - data[i]!) ** 2;
      moved += (data[i]! - start[i]!) ** 2;
      size += data[i]! ** 2;
    }
    // The gradient of a bias in front of a norm is nothing but rounding.
    const one = Math.sqrt(off) / Math.max(Math.sqrt(moved), 1e-4 * Math.sqrt(size));
    changes.push(one);
    if (!(one <= change)) [change, where] = [Number.isNaN(one) ? Infinity : one, name];
  }
  return {
    losses: share(found.losses, expected.losses),
    logits: Math.max(...found.logits.map((logits, i) => share(logits, expected.logits[i]!))),
    change,
    typical: changes.sort((a, b) => a - b)[Math.floor(changes.length / 2)]!,
    where,
    predicted: share(found.predicted, expected.predicted),
    features: share(found.features, expected.features),
  };
}

function expectSame(graph: Graph, found: Trained, expected: Trained, tolerance: number): void {
  const { losses, logits, change, where, predicted, features } = differences(graph, found, expected);
  expect({ losses, logits, predicted, features }).toEqual({
    losses: below(tolerance),
    logits: below(tolerance),
    predicted: below(tolerance),
    features: below(tolerance),
  });
  expect(change, where).toBeLessThan(10 * tolerance);
}

/** Matches numbers below a limit. */
function below(limit: number): unknown {
  return { asymmetricMatch: (value: number) => value < limit, toString: () => `below ${limit}` };
}

describe('graphs by hand, trained two steps, come out as on the reference runtime', () => {
  it.each(Object.entries(graphsByHand))('%s', async (name, graph) => {
    // Odd sizes: 17 and 9 pixels; a last batch that is smaller; a batch in two parts.
    const steps = [[batchOf(name, 3, 17), batchOf('part', 2, 17)], [batchOf('last', 2, 17)]];
    const expected = await trained(reference, graph, steps);
    const found = await trained(compiled, graph, steps);
    expectSame(graph, found, expected, 1e-4);
    const recomputed = await trained(compiled, graph, steps, { ...options, recompute: true });
    expect(recomputed).toEqual(found);
    if (all) expectSame(graph, await trained(asOnGpu, graph, steps), expected, 1e-4);
  });
});

const whole = (name: string, n: number, size: number): LabelledBatch[] => [batchOf(name, n, size)];

describe.runIf(all)('a GPU’s kernels, which no software adapter takes by itself', () => {
  // DenseNet's many norms amplify rounding, and a ReLU that turns over changes a whole channel: there most parameters agree, not all.
  it.each([
    ['tiny', 3, 21, 1e-4],
    ['mobilenet_v3_small', 4, 48, 1e-3],
    ['densenet121', 4, 64, 0.1],
  ] as const)('train %s as the reference runtime does', async (name, n, size, most) => {
    const graph = buildGraph(name, 5);
    const steps = [whole(name, n, size)];
    const expected = await trained(reference, graph, steps, options, 1e-3);
    for (const engine of [asOnGpu, compiled]) {
      const { losses, logits, typical, change, where, predicted, features } = differences(
        graph,
        await trained(engine, graph, steps, options, 1e-3),
        expected,
      );
      expect({ losses, logits, typical, predicted, features }).toEqual({
        losses: below(1e-5),
        logits: below(1e-4),
        typical: below(1e-3),
        predicted: below(1e-3),
        features: below(1e-3),
      });
      expect(change, where).toBeLessThan(most);
    }
  });
});

describe('the head alone', () => {
  it('changes nothing else, sees the backbone in eval mode, and comes out as on the reference runtime', async () => {
    const graph = buildGraph('tiny', 5);
    const steps = [[batchOf('a', 2, 21), batchOf('b', 3, 21)], whole('c', 2, 21)];
    const given: NetworkOptions = { ...options, trainable: 'head' };
    const [found, expected] = [
      await trained(compiled, graph, steps, given),
      await trained(reference, graph, steps, given),
    ];
    expectSame(graph, found, expected, 1e-4);
    const before = formulaWeights(graph);
    const changed = [...found.weights].filter(
      ([name, { data }]) => !data.every((value, i) => value === before.get(name)!.data[i]),
    );
    expect(changed.map(([name]) => name)).toEqual([`${graph.head}.weight`, `${graph.head}.bias`]);
  });
});

describe('what is left behind', () => {
  it.each([
    ['tiny', 16, 100],
    ['mobilenet_v3_small', 32, 6],
    ['densenet121', 32, 4],
  ] as const)('no GPU object after the first step, no dispatch that is not planned: %s', async (name, size, count) => {
    const graph = buildGraph(name, 5);
    const network = await compiled.build(graph, formulaWeights(graph), options);
    const batch = whole('flat', 2, size);
    const kernels = wgslKernels(traitsOf(device, compiled.adapter.software));
    const batchOf2 = { images: 2, imageSize: size, trainable: 'all', recompute: false, precision: 'float32' } as const;
    const planned = worksOf(kernels, trainingPlan(graph, kernels, batchOf2).calls).length;
    const counts = countersOf(device);
    let slow = [0, 0];
    const steps: { objects: number; submits: number; dispatches: number; bytes: number; most: number }[] = [];
    for (let step = 0; step < count; step++) {
      const before = { ...counts.now };
      const begun = performance.now();
      await network.trainStep(batch, 1e-3);
      const took = performance.now() - begun;
      steps.push({
        objects: counts.now.objects - before.objects,
        submits: counts.now.submits - before.submits,
        dispatches: counts.now.dispatches - before.dispatches,
        bytes: compiled.memory().bytes,
        // Cut by the middle of the three before, or the slower of two.
        most: Math.max(1, Math.ceil(Math.max(took, ...slow) / 100)),
      });
      slow = [took, slow[0]!];
    }
    counts.stop();
    network.dispose();
    expect(steps[0]!.objects).toBeGreaterThan(0);
    expect(steps.slice(1).filter(({ objects }) => objects > 0)).toEqual([]);
    expect(steps.slice(1).filter(({ submits, most }) => submits < 1 || submits > most)).toEqual([]);
    if (name === 'tiny') expect(steps.filter(({ submits }) => submits === 1).length).toBeGreaterThan(0);
    // Floats that are widened; the gradients' norm, in two; the optimiser; the running statistics.
    expect(new Set(steps.map(({ dispatches }) => dispatches - planned))).toEqual(new Set([5]));
    expect(new Set(steps.map(({ bytes }) => bytes)).size).toBe(1);
  });

  it('nothing of a batch of a size that has not been seen for long', async () => {
    const graph = buildGraph('tiny', 5);
    const network = await compiled.build(graph, formulaWeights(graph), options);
    // The largest first: the arena and what is read fit the others.
    const sizes = Array.from({ length: 10 }, (_, i) => 10 - i);
    const held: number[] = [];
    for (let round = 0; round < 3; round++) {
      for (const n of sizes) await network.trainStep(whole(`size ${n}`, n, 16), 1e-3);
      held.push(compiled.memory().bytes);
    }
    network.dispose();
    expect(held).toEqual([held[0], held[0], held[0]]);
  });

  it('as much memory as was said before', async () => {
    const graph = graphsByHand['a dense block with a block inside']!;
    const empty = compiled.memory().bytes;
    const network = await compiled.build(graph, formulaWeights(graph), options);
    await network.trainStep(whole('said', 4, 48), 1e-3);
    const held = compiled.memory().bytes - empty;
    network.dispose();
    const said = compiledBytes(graph, wgslKernels(traitsOf(device, compiled.adapter.software)), {
      images: 4,
      imageSize: 48,
      trainable: 'all',
      optimiser: options.optimiser,
    }).total;
    // The batch as it was handed in, and a few numbers of each step.
    expect(held - said).toBeGreaterThan(0);
    expect(held - said).toBeLessThan(4 * 4 * 48 * 48 * 3 + 65536);
  });
});

it('a NaN in one image of one part changes no weight, no running statistic and nothing of the optimiser', async () => {
  const graph = buildGraph('tiny', 5);
  const network = await compiled.build(graph, formulaWeights(graph), options);
  await network.trainStep(whole('good', 3, 16), 0.01);
  const [weights, optimiser] = [await network.readWeights(), await network.readOptimiser()];
  expect([...weights.keys()].filter((name) => name.endsWith('running_mean')).length).toBeGreaterThan(0);
  const parts = [batchOf('bad', 2, 16), batchOf('good', 2, 16)];
  parts[0]!.images[100] = Number.NaN;
  expect((await network.trainStep(parts, 0.01)).loss).toBeNaN();
  expect(await network.readWeights()).toEqual(weights);
  expect(await network.readOptimiser()).toEqual(optimiser);
  // It goes on as if that step had not been.
  const next = await network.trainStep(whole('next', 3, 16), 0.01);
  const undisturbed = await compiled.build(graph, weights, options);
  await undisturbed.writeOptimiser(optimiser);
  expect(await undisturbed.trainStep(whole('next', 3, 16), 0.01)).toEqual(next);
  expect(await undisturbed.readWeights()).toEqual(await network.readWeights());
  network.dispose();
  undisturbed.dispose();
});
