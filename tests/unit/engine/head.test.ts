import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { augmentInto } from '../../../src/engine/augmentation.ts';
import { createHead } from '../../../src/engine/head.ts';
import type {
  AugmentedBatch,
  Engine,
  LabelledBatch,
  NetworkOptions,
  OptimiserSettings,
} from '../../../src/engine/types.ts';
import { graphBuilder } from '../../../src/graph/builder.ts';
import { backboneOf, headOf } from '../../../src/graph/head.ts';
import type { Graph, Weights } from '../../../src/graph/types.ts';
import { formulaImages, formulaWeights } from '../support/formulaWeights.ts';
import { openInNode } from '../support/openInNode.ts';

const [SIZE, CLASSES, N] = [16, 3, 7];

function networkWithDropout(): Graph {
  const net = graphBuilder();
  let x = net.input('input', 3);
  x = net.activation('relu', net.batchNorm2d('norm', net.conv2d('conv', x, 10, { kernel: 3, stride: 2 })), 'relu');
  const features = x;
  x = net.dropout('dropout', net.flatten('flatten', net.globalAvgPool('pool', features)), 0.5);
  net.linear('classifier', x, CLASSES);
  return net.finish({ architecture: 'tiny', classes: CLASSES, head: 'classifier', features });
}

const graph = networkWithDropout();
const weights = formulaWeights(graph);
const batch: LabelledBatch = {
  images: formulaImages(N, SIZE),
  labels: Int32Array.from({ length: N }, (_, i) => (i * i) % CLASSES),
  n: N,
  size: SIZE,
};
const sgd = { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0.01 } as const;
const adam = { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 } as const;
const optionsWith = (optimiser: OptimiserSettings, clipNorm: number | null): NetworkOptions => ({
  trainable: 'head',
  optimiser,
  clipNorm,
  batchNormMomentum: null,
  seed: 1,
});

let engine: Engine;
beforeAll(async () => {
  engine = await openInNode('wasm');
});
afterAll(() => engine.dispose());

/** The largest difference of tensors of these names. */
function apart(one: Weights, other: Weights): number {
  return Math.max(
    ...[...one].flatMap(([name, { data }]) => [...data].map((x, i) => Math.abs(x - other.get(name)!.data[i]!))),
  );
}

describe('the head by itself', () => {
  it.each([
    ['Adam', adam, null],
    ['AdamW, clipped', { ...adam, kind: 'adamw', weightDecay: 0.1 }, 0.05],
    ['SGD with Nesterov momentum and weight decay, clipped', sgd, 0.1],
    ['SGD without momentum', { ...sgd, momentum: 0, nesterov: false }, null],
  ] satisfies [string, OptimiserSettings, number | null][])(
    'makes the steps of the whole network’s head, of a batch in two parts: %s',
    async (_, optimiser, clipNorm) => {
      const options = optionsWith(optimiser, clipNorm);
      const network = await engine.build(graph, weights, options);
      const features = await network.features(batch);
      const head = createHead(graph, weights, options);
      const pixels = SIZE * SIZE * 3;
      const parts = [
        { ...batch, images: batch.images.subarray(0, 5 * pixels), labels: batch.labels.subarray(0, 5), n: 5 },
        { ...batch, images: batch.images.subarray(5 * pixels), labels: batch.labels.subarray(5), n: 2 },
      ];
      for (let step = 0; step < 6; step++) {
        const expected = await network.trainStep(parts, 0.05);
        const found = head.step(features, batch.labels, 0.05);
        expect(found.loss).toBeCloseTo(expected.loss, 5);
        for (const [i, logit] of expected.logits.entries()) expect(found.logits[i]).toBeCloseTo(logit, 4);
      }
      const learnt = head.readWeights();
      expect([...learnt.keys()]).toEqual(['classifier.weight', 'classifier.bias']);
      expect(apart(learnt, await network.readWeights())).toBeLessThan(1e-5);
      expect(apart(learnt, weights)).toBeGreaterThan(1e-2);
      const [ours, theirs] = [head.readOptimiser(), await network.readOptimiser()];
      expect([ours.step, [...ours.moments.keys()]]).toEqual([theirs.step, [...theirs.moments.keys()]]);
      if (ours.moments.size > 0) expect(apart(ours.moments, theirs.moments)).toBeLessThan(1e-5);
      network.dispose();
    },
  );

  it('goes on from a state as if it had never been written, and copies what it is given', () => {
    const features = Float32Array.from({ length: N * 10 }, (_, i) => Math.sin(i));
    const straight = createHead(graph, weights, optionsWith(adam, null));
    for (let i = 0; i < 4; i++) straight.step(features, batch.labels, 0.01);
    const first = createHead(graph, weights, optionsWith(adam, null));
    for (let i = 0; i < 2; i++) first.step(features, batch.labels, 0.01);
    const [kept, state] = [first.readWeights(), first.readOptimiser()];
    first.step(features, batch.labels, 0.5);
    const second = createHead(graph, kept, optionsWith(adam, null));
    second.writeOptimiser(state);
    for (let i = 0; i < 2; i++) second.step(features, batch.labels, 0.01);
    expect(second.readWeights()).toEqual(straight.readWeights());
    expect(second.readOptimiser()).toEqual(straight.readOptimiser());
    expect(apart(weights, formulaWeights(graph))).toBe(0);
  });

  it('makes no update of a loss that is no number', () => {
    const head = createHead(graph, weights, optionsWith(adam, null));
    const features = new Float32Array(N * 10).fill(1);
    features[3] = NaN;
    expect(head.step(features, batch.labels, 0.01).loss).toBeNaN();
    expect(apart(head.readWeights(), weights)).toBe(0);
    expect(head.readOptimiser().step).toBe(0);
    expect([...head.readOptimiser().moments.values()].every(({ data }) => data.every((x) => x === 0))).toBe(true);
  });

  it('refuses what is not its own, by name', () => {
    const without = new Map([...weights].filter(([name]) => name !== 'classifier.bias'));
    expect(() => createHead(graph, without, optionsWith(adam, null))).toThrow('The weights lack classifier.bias.');
    const head = createHead(graph, weights, optionsWith(adam, null));
    expect(() => head.writeOptimiser({ step: 1, moments: new Map() })).toThrow('classifier.weight.exp_avg');
    expect(() => head.step(new Float32Array(15), batch.labels, 1)).toThrow('no rows of 10');
    expect(() => head.step(new Float32Array(20), batch.labels, 1)).toThrow('7 labels for 6 logits');
    const more = { ...graph, nodes: [...graph.nodes, { op: 'softmax', name: 'softmax', inputs: ['classifier'] }] };
    expect(() => headOf(more as Graph)).toThrow('classifier is not the linear layer');
    const pooled = graph.nodes.map((node) => (node.name === 'classifier' ? { ...node, inputs: ['flatten'] } : node));
    expect(() => backboneOf({ ...graph, nodes: pooled as Graph['nodes'] })).toThrow('does not read dropout');
  });
});

describe.each(['wasm', 'cpu'] as const)('what the head reads, on %s', (device) => {
  it('is what its logits come from, in eval mode, and leaves nothing behind', async () => {
    const own = await openInNode(device);
    const network = await own.build(graph, weights, { ...optionsWith(adam, null), trainable: 'all' });
    const before = tf.memory().numTensors;
    const features = await network.features(batch);
    expect(features).toHaveLength(N * 10);
    const logits = createHead(graph, weights, optionsWith(adam, null)).logits(features);
    const expected = await network.predict(batch);
    for (const [i, logit] of expected.entries()) expect(logits[i]).toBeCloseTo(logit, 5);
    expect(await network.features(batch)).toEqual(features);
    expect(tf.memory().numTensors).toBe(before);
    expect(apart(await network.readWeights(), weights)).toBe(0);
    network.dispose();
    await own.dispose();
  });

  it('is made of pictures as of their pixels', async () => {
    const own = await openInNode(device);
    const network = await own.build(graph, weights, optionsWith(adam, null));
    const data = Uint8Array.from({ length: 20 * 20 * 3 }, (_, i) => (i * 7919) % 256);
    const how = {
      crop: { top: 1, left: 2, height: 17, width: 17 },
      matrix: [1, 0.1, 0, -0.1, 1, 1] as const,
      jitter: [],
      flip: true,
    };
    const picture = { width: 20, height: 20, data };
    const statistics = { mean: [0.5, 0.4, 0.3], std: [0.2, 0.2, 0.3] };
    const pictures: AugmentedBatch = {
      pictures: [[picture, how]],
      labels: Int32Array.of(0),
      n: 1,
      size: SIZE,
      ...statistics,
    };
    const images = new Float32Array(SIZE * SIZE * 3);
    augmentInto(images, 0, picture, SIZE, how, statistics);
    const expected = await network.features({ images, n: 1, size: SIZE });
    const found = await network.features(pictures);
    for (const [i, value] of expected.entries()) expect(found[i]).toBeCloseTo(value, 5);
    network.dispose();
    await own.dispose();
  });
});
