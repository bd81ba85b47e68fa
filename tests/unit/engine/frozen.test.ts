/** A frozen backbone, its batch norms folded and its activations fused, against the same layers one by one. Torchvision's logits: inference.test.ts. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildGraph } from '../../../src/architectures/index.ts';
import { fused } from '../../../src/engine/reference/fuse.ts';
import type { Engine, ImageBatch, NetworkOptions } from '../../../src/engine/types.ts';
import { graphBuilder } from '../../../src/graph/builder.ts';
import type { Graph, Weights } from '../../../src/graph/types.ts';
import { distance, options, stepsGraph } from '../support/engineSuites.ts';
import { formulaImages, formulaWeights } from '../support/formulaWeights.ts';
import { openInNode } from '../support/openInNode.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await openInNode('wasm');
});
afterAll(() => engine.dispose());

const headOnly: NetworkOptions = { ...options, trainable: 'head' };
const seen = (n: number, size: number): ImageBatch => ({ images: formulaImages(n, size), n, size });

async function featuresOf(graph: Graph, weights: Weights, given: NetworkOptions, batch: ImageBatch) {
  const network = await engine.build(graph, weights, given);
  const features = await network.features(batch);
  network.dispose();
  return features;
}

/** Activations behind other things than convolutions, behind two readers, behind one another, behind groups; one channel; a norm read twice. */
function odd(): Graph {
  const g = graphBuilder();
  const image = g.input('image', 3);
  const first = g.activation(
    'first.act',
    g.batchNorm2d('first.norm', g.conv2d('first', image, 8, { kernel: 3 })),
    'relu',
  );
  const twice = g.activation('twice', first, 'hardswish');
  const groups = g.conv2d('groups', twice, 8, { kernel: 3, groups: 2, stride: 2, bias: true });
  const swished = g.activation('groups.act', g.batchNorm2d('groups.norm', groups), 'hardswish');
  const bare = g.conv2d('bare', swished, 8, { kernel: 1 });
  const gate = g.activation(
    'gate',
    g.conv2d('squeeze', g.globalAvgPool('squeeze.pool', bare), 8, { kernel: 1 }),
    'hardsigmoid',
  );
  const gated = g.mul('gated', bare, gate);
  const norm = g.batchNorm2d('norm', gated);
  const both = g.add('both', norm, g.activation('norm.act', norm, 'relu'));
  const one = g.activation('one.act', g.batchNorm2d('one.norm', g.conv2d('one', both, 1, { kernel: 3 })), 'hardswish');
  const late = g.activation('late.act', g.batchNorm2d('late', g.concat('all', [both, one])), 'hardsigmoid');
  const pooled = g.globalAvgPool('pool', g.dropout('drop', late, 0.5));
  g.linear('head', g.flatten('flat', pooled), 3);
  return g.finish({ architecture: 'odd', classes: 3, head: 'head', features: 'late.act' });
}

describe('features of a frozen backbone', () => {
  it.each([
    ['tiny', buildGraph('tiny', 3), 33],
    ['mobilenet_v3_small', buildGraph('mobilenet_v3_small', 3), 65],
    ['densenet121', buildGraph('densenet121', 3), 32],
    ['every op', stepsGraph, 13],
    ['odd ones', odd(), 11],
  ])('are those of its layers one by one: %s', async (_, graph, size) => {
    const weights = formulaWeights(graph);
    const expected = await featuresOf(graph, weights, options, seen(3, size));
    const found = await featuresOf(graph, weights, headOnly, seen(3, size));
    const largest = Math.max(...expected.map(Math.abs));
    expect(largest).toBeGreaterThan(1e-3);
    expect(distance(found, expected) / largest).toBeLessThan(1e-5);
    expect(await featuresOf(graph, weights, headOnly, seen(3, size))).toEqual(found);
  });

  it.each([
    ['not a number', Number.NaN],
    ['infinite', Infinity],
  ])('are as wrong as those of its layers where a weight is %s', async (_, wrong) => {
    const graph = odd();
    const weights = formulaWeights(graph);
    for (const name of ['first.norm.bias', 'groups.norm.weight', 'norm.weight', 'late.bias']) {
      const { shape, data } = weights.get(name)!;
      const spoilt = new Map([...weights, [name, { shape, data: data.map(() => wrong) }] as const]);
      const expected = await featuresOf(graph, spoilt, options, seen(2, 11));
      expect(await featuresOf(graph, spoilt, headOnly, seen(2, 11)), name).toEqual(expected);
    }
  });
});

it('leaves no batch norm, and an activation by itself only where no convolution alone gives what it reads', () => {
  const counted = (graph: Graph) => {
    const { nodes } = fused(graph, formulaWeights(graph)).graph;
    const convolutions = nodes.filter(({ op }) => op === 'conv2d').map(({ name }) => name);
    const left = nodes
      .filter(({ op }) => ['batchNorm2d', 'activation', 'dropout'].includes(op))
      .map(({ name }) => name);
    const before = graph.nodes.filter(({ op }) => op === 'conv2d').length;
    return [convolutions.length - before, left];
  };
  // DenseNet's norms before an activation, two for each of 58 layers and four others, of which those behind a convolution are in it.
  expect(counted(buildGraph('densenet121', 3))).toEqual([62, []]);
  // The factors of 18 hardswishes and sixths of 9 hardsigmoids; a linear layer is before the other one.
  expect(counted(buildGraph('mobilenet_v3_small', 3))).toEqual([27, ['classifier.1']]);
  expect(counted(buildGraph('tiny', 3))).toEqual([0, []]);
});

describe('a head-only network', () => {
  it('has the backbone that it was given, to the bit, and another one once that is written', async () => {
    const graph = odd();
    const weights = formulaWeights(graph);
    const other = new Map(
      [...weights].map(([name, { shape, data }]) => [name, { shape, data: data.map((v) => v * 1.1) }]),
    );
    const network = await engine.build(graph, weights, headOnly);
    const built = engine.memory();
    expect(await network.readWeights()).toEqual(weights);
    await network.writeWeights(other);
    expect(await network.readWeights()).toEqual(other);
    expect(await network.features(seen(2, 11))).toEqual(await featuresOf(graph, other, headOnly, seen(2, 11)));
    await network.writeWeights(weights);
    expect(await network.features(seen(2, 11))).toEqual(await featuresOf(graph, weights, headOnly, seen(2, 11)));
    expect(engine.memory()).toMatchObject({ tensors: built.tensors, bytes: built.bytes });
    network.dispose();
  });

  it('takes all of the weights or none, and leaves nothing on the device', async () => {
    const graph = odd();
    const weights = formulaWeights(graph);
    const before = engine.memory();
    for (const name of ['one.norm.running_var', 'head.bias']) {
      const lacking = new Map(
        [...weights].map(([key, { shape, data }]) => [key, { shape, data: data.map((v) => v + 1) }]),
      );
      lacking.delete(name);
      await expect(engine.build(graph, lacking, headOnly)).rejects.toThrow(`The weights lack ${name}.`);
      const network = await engine.build(graph, weights, headOnly);
      await expect(network.writeWeights(lacking)).rejects.toThrow(`The weights lack ${name}.`);
      expect(await network.readWeights()).toEqual(weights);
      network.dispose();
      await expect(network.features(seen(1, 11))).rejects.toThrow('disposed');
      expect(engine.memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
    }
  });
});
