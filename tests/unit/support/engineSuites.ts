import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildGraph } from '../../../src/architectures/index.ts';
import { layoutOf } from '../../../src/engine/reference/layouts.ts';
import { isDepthwise } from '../../../src/graph/convolution.ts';
import { backwardOf } from '../../../src/engine/reference/ops/backward.ts';
import { forwardOf } from '../../../src/engine/reference/ops/index.ts';
import type { Engine, LabelledBatch, Network, NetworkOptions } from '../../../src/engine/types.ts';
import { parametersOfNode } from '../../../src/graph/parameters.ts';
import type { Graph, GraphNode, Weights } from '../../../src/graph/types.ts';
import gradients from '../../fixtures/gradients.json' with { type: 'json' };
import steps from '../../fixtures/steps.json' with { type: 'json' };
import { formulaImages, formulaTensor, formulaWeights, signed } from './formulaWeights.ts';
import { judged } from './judged.ts';
import { logitsCases } from './torchvisionLogits.ts';

/**
 * What every backend must show, against torch's and torchvision's numbers. Called by a test file for each backend.
 * Fixtures: tests/python/make_gradients.py, make_logits.py.
 */
export type Open = () => Promise<Engine>;

export const options: NetworkOptions = {
  trainable: 'all',
  optimiser: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
  clipNorm: null,
  batchNormMomentum: null,
  seed: 1,
};

/** Largest absolute difference, with a length check; NaN counts as infinite. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Infinity : difference;
  }
  return largest;
}

function withEngine<E extends { dispose?(): Promise<void> }>(open: () => Promise<E>): () => E {
  let engine: E | undefined;
  beforeAll(async () => {
    engine = await open();
  });
  afterAll(() => engine?.dispose?.());
  return () => engine!;
}

/** Forward and backward of single layers, odd sizes, strides 1 to 3, groups: torch's float64 numbers. */
export function layersSuite(open: Open): void {
  describe('layers, forward and backward, as torch', () => {
    withEngine(open);
    it.each(Object.entries(gradients))('%s', async (_, entry) => {
      const node = entry.node as unknown as GraphNode;
      const isTie = node.op === 'maxPool2d';
      const x = tf.tensor(
        Float32Array.from(signed(`${node.name} x`, size(entry.shape)), (value) =>
          isTie ? Math.floor(Math.fround(value) * entry.scale) - 3 : Math.fround(value) * entry.scale,
        ),
        entry.shape,
      );
      const depthwise = node.op === 'conv2d' && isDepthwise(node);
      const specs = parametersOfNode(node).map((spec) => ({ spec, layout: layoutOf(spec, depthwise) }));
      const parameters = Object.fromEntries(
        specs.map(({ spec, layout }) => [
          spec.kind,
          tf.tensor(layout.toEngine(formulaTensor(spec.name, spec.shape)), [...layout.engineShape]),
        ]),
      );
      const given = { node, inputs: [x], parameters, training: true, uniform: Math.random };
      const { output, saved } = forwardOf(node)(given);
      expect(output.shape).toEqual(entry.outputShape);
      expect(distance(await output.data(), entry.y)).toBeLessThan(2e-5);

      const dy = tf.tensor(new Float32Array(signed(`${node.name} dy`, output.size)), output.shape);
      const result = backwardOf(node)!({ node, dy, saved, parameters, inputShapes: [x.shape], wanted: [true] });
      expect(result.inputs[0]!.shape).toEqual(entry.shape);
      expect(distance(await result.inputs[0]!.data(), entry.dx)).toBeLessThan(5e-5);
      for (const { spec, layout } of specs) {
        const key = `d_${spec.kind}`;
        if (!(key in entry)) continue;
        const found = layout.toTorch((await result[spec.kind as 'weight']!.data()) as Float32Array);
        expect(distance(found, (entry as never)[key]), key).toBeLessThan(5e-5);
      }
    });
  });
}

/** What an engine that only predicts has, too. */
interface Answers {
  build(graph: Graph, weights: Weights, options: NetworkOptions): Promise<Pick<Network, 'predict' | 'dispose'>>;
  dispose?(): Promise<void>;
}

interface Judging {
  /** `logits` where they are the training engine's. */
  readonly quantity: string;
  readonly on: string;
  readonly command: string;
}

/** Eval-mode logits of the three backbones against torchvision's. */
export function logitsSuite(
  open: () => Promise<Answers>,
  judging: Judging,
  wanted: (title: string) => boolean = () => true,
): void {
  describe('logits as torchvision', () => {
    const engine = withEngine(open);
    it.each(logitsCases.filter(({ title }) => wanted(title)))('$title', async ({ architecture, classes, ...one }) => {
      const graph = buildGraph(architecture, classes);
      const network = await engine().build(graph, formulaWeights(graph), options);
      const found = await network.predict({
        images: formulaImages(one.images, one.size),
        n: one.images,
        size: one.size,
      });
      network.dispose();
      const error = distance(found, one.logits);
      expect(error).toBeLessThan(1e-4);
      const largest = Math.max(...one.logits.map(Math.abs));
      const spread = one.float32Error / largest;
      judged({ ...judging, network: architecture, error: error / largest, tolerance: 1e-4, spread });
    });
  });
}

const { nodes, images, size: imageSize, classes, learningRate } = steps.network;
export const stepsGraph: Graph = {
  architecture: 'steps',
  classes,
  nodes: nodes as unknown as GraphNode[],
  head: 'head',
  features: 'dense.pool',
};

/** The batch of step `step`, cut into parts of these sizes. */
export function stepsBatch(step: number, parts: readonly number[]): LabelledBatch[] {
  const pixels = imageSize * imageSize * 3;
  const all = Float32Array.from(signed('steps images', 5 * images * pixels), (v) => Math.fround(v) * 2);
  let begin = 0;
  return parts.map((n) => {
    const first = begin;
    begin += n;
    const offset = (step * images + first) * pixels;
    return {
      images: all.slice(offset, offset + n * pixels),
      labels: Int32Array.from({ length: n }, (_, i) => (step + first + i) % classes),
      n,
      size: imageSize,
    };
  });
}

/** Five Adam steps of a network with every op: losses, weights, running statistics and moments as torch's. */
export function stepsSuite(open: Open): void {
  describe('five Adam steps as torch', () => {
    const engine = withEngine(open);
    it.each(['whole batch', 'two parts', 'momentum 0.3'] as const)('%s', async (name) => {
      const expected = steps[name];
      const network = await engine().build(stepsGraph, formulaWeights(stepsGraph), {
        ...options,
        batchNormMomentum: expected.momentum,
      });
      const losses: number[] = [];
      for (let step = 0; step < 5; step++) {
        const result = await network.trainStep(stepsBatch(step, expected.parts), learningRate);
        expect(result.logits.length).toBe(images * classes);
        losses.push(result.loss);
      }
      expect(distance(losses, expected.losses)).toBeLessThan(1e-4);
      const weights = await network.readWeights();
      for (const [key, values] of Object.entries(expected.weights)) {
        expect(distance(weights.get(key)!.data, values), key).toBeLessThan(2e-4);
      }
      const optimiser = await network.readOptimiser();
      expect(optimiser.step).toBe(5);
      if ('moments' in expected) {
        for (const [key, values] of Object.entries(expected.moments)) {
          expect(distance(optimiser.moments.get(key)!.data, values), key).toBeLessThan(2e-5);
        }
      }
      network.dispose();
    });
  });
}

/** Also where a max pool stands between the NaN and the loss: tfjs's pools drop it. */
export function nanSuite(open: Open): void {
  describe('a loss of NaN', () => {
    const engine = withEngine(open);
    it('is returned, and changes nothing', async () => {
      const network = await engine().build(stepsGraph, formulaWeights(stepsGraph), options);
      await network.trainStep(stepsBatch(0, [4, 2]), 0.01);
      const weights = await network.readWeights();
      const optimiser = await network.readOptimiser();
      const parts = stepsBatch(1, [4, 2]);
      parts[1]!.images[7] = Number.NaN;
      const before = engine().memory();
      const { loss, logits } = await network.trainStep(parts, 0.01);
      expect(loss).toBeNaN();
      expect(logits.length).toBe(30);
      expect(await network.readWeights()).toEqual(weights);
      expect(await network.readOptimiser()).toEqual(optimiser);
      expect(engine().memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
      network.dispose();
    });
  });
}

function size(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
