import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type {
  Engine,
  LabelledBatch,
  Network,
  NetworkOptions,
  Precision,
  StepResult,
} from '../../../src/engine/types.ts';
import { graphBuilder } from '../../../src/graph/builder.ts';
import type { Graph } from '../../../src/graph/types.ts';
import { formulaWeights, signed } from '../../unit/support/formulaWeights.ts';
import { openInNode } from '../../unit/support/openInNode.ts';

/** A step is asked for before the one before it is done: the same bits as one after the other. */
const SIZE = 12;
/** Whose updates and dropouts depend on how many steps were good. */
const options: NetworkOptions = {
  trainable: 'all',
  optimiser: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
  clipNorm: null,
  batchNormMomentum: null,
  seed: 3,
};

function withDropout(): Graph {
  const net = graphBuilder();
  let x = net.input('input', 3);
  x = net.conv2d('conv', x, 8, { kernel: 3, stride: 2 });
  x = net.batchNorm2d('norm', x);
  x = net.activation('relu', x, 'relu');
  const features = x;
  x = net.flatten('flatten', net.globalAvgPool('pool', features));
  x = net.dropout('dropout', x, 0.3);
  net.linear('classifier', x, 5);
  return net.finish({ architecture: 'tiny', classes: 5, head: 'classifier', features });
}

function batchOf(name: string, n: number): LabelledBatch {
  const images = Float32Array.from(signed(name, n * SIZE * SIZE * 3), (value) => 2 * Math.fround(value));
  return { images, n, size: SIZE, labels: Int32Array.from({ length: n }, (_, i) => (3 * i + name.length) % 5) };
}

function bad(): LabelledBatch {
  const batch = batchOf('bad', 3);
  batch.images[50] = Number.NaN;
  return batch;
}

/** In one part and in several, of sizes that are new in mid-course, and bad: alone, one after the other, and first in a pair. */
const steps: readonly (readonly LabelledBatch[])[] = [
  [batchOf('a', 3)],
  [batchOf('b', 3)],
  [batchOf('c', 2), batchOf('dd', 3)],
  [bad()],
  [batchOf('e', 3)],
  [batchOf('f', 3)],
  [batchOf('g', 2), bad()],
  [bad()],
  [batchOf('h', 5)],
  [batchOf('i', 5)],
];
const RATE = 0.01;

let engine: Engine;
beforeEach(async () => {
  engine = await openInNode('webgpu');
});
afterEach(() => engine.dispose());

const build = (precision: Precision = 'float32'): Promise<Network> => {
  const graph = withDropout();
  return engine.build(graph, formulaWeights(graph), { ...options, precision });
};
const stateOf = async (network: Network) => [await network.readWeights(), await network.readOptimiser()];

const PRECISIONS: readonly Precision[] = ['float32', 'float16'];
it.each(PRECISIONS)(
  '%s: steps asked for at once, bad ones too, are those of one after the other',
  async (precision) => {
    // With float16 a bad step changes the scale of the loss as well.
    const serial = await build(precision);
    const expected: StepResult[] = [];
    for (const parts of steps) expected.push(await serial.trainStep(parts, RATE));
    expect(expected.map(({ loss }) => Number.isNaN(loss))).toEqual(steps.map((_, i) => [3, 6, 7].includes(i)));

    const network = await build(precision);
    const asked = steps.map((parts) => network.trainStep(parts, RATE));
    expect(await Promise.all(asked)).toEqual(expected);
    expect(await stateOf(network)).toEqual(await stateOf(serial));
    expect((await network.readOptimiser()).step).toBe(7);
  },
);

it('whatever reads or writes is in its place among them', async () => {
  const serial = await build();
  const [first, second, third] = [steps[0]!, steps[3]!, steps[4]!];
  await serial.trainStep(first, RATE);
  const [weights, optimiser] = await stateOf(serial);
  const predicted = await serial.predict(first[0]!);
  await serial.trainStep(second, RATE);
  const last = await serial.trainStep(third, RATE);

  const network = await build();
  const before = await network.readOptimiser();
  const asked = [
    network.trainStep(first, RATE),
    network.readWeights(),
    network.readOptimiser(),
    network.predict(first[0]!),
    network.trainStep(second, RATE),
    network.trainStep(third, RATE),
    network.writeWeights(formulaWeights(network.graph)),
    network.writeOptimiser(before),
    network.trainStep(first, RATE),
  ] as const;
  const found = await Promise.all(asked);
  expect(found.slice(1, 4)).toEqual([weights, optimiser, predicted]);
  expect(found[5]).toEqual(last);
  expect(found[8]).toEqual(found[0]);
  expect(await stateOf(network)).toEqual([weights, optimiser]);
});

it('the device has the next step before the last result is there, and no more than that', async () => {
  const network = await build();
  const [one, two] = [steps[0]!, steps[1]!];
  // What is made once for all steps is made by then.
  await Promise.all([one, two, one].map((parts) => network.trainStep(parts, RATE)));
  const submit = vi.spyOn(deviceInUse().queue, 'submit');
  const asked = [one, two, one, two].map((parts) => network.trainStep(parts, RATE));
  // A step of this size is one submit. No result can come before the event loop has its turn.
  for (let i = 0; i < 1000; i++) await Promise.resolve();
  expect(submit).toHaveBeenCalledTimes(2);
  await Promise.all(asked);
  expect(submit).toHaveBeenCalledTimes(4);
  submit.mockRestore();
});

it('a lost device rejects every step under way', async () => {
  const network = await build();
  await network.trainStep(steps[0]!, RATE);
  const asked = [0, 1, 2, 3].map(() => network.trainStep(steps[0]!, RATE));
  deviceInUse().destroy();
  const settled = await Promise.allSettled(asked);
  const lost = { status: 'rejected', reason: { name: 'DeviceLostError' } };
  expect(settled).toMatchObject([lost, lost, lost, lost]);
});

function deviceInUse(): GPUDevice {
  return (tf.backend() as unknown as { device: GPUDevice }).device;
}
