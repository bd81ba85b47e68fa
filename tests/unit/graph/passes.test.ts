import { describe, expect, it } from 'vitest';
import { buildGraph } from '../../../src/architectures/index.ts';
import { graphBuilder } from '../../../src/graph/builder.ts';
import { parametersOf } from '../../../src/graph/parameters.ts';
import { addPreprocessing, addSoftmax, dropDropout, foldBatchNorms } from '../../../src/graph/passes/index.ts';
import { inferShapes } from '../../../src/graph/shapes.ts';
import type { Graph, Tensor, Weights } from '../../../src/graph/types.ts';
import torch from '../../fixtures/folding.json' with { type: 'json' };
import { formulaWeights } from '../support/formulaWeights.ts';

/** Convolution → norm → ReLU → grouped convolution with bias → norm → norm → pool → linear. */
function smallGraph(): Graph {
  const net = graphBuilder();
  let x = net.input('input', 3);
  x = net.conv2d('plain.conv', x, 4, { kernel: 3 });
  x = net.batchNorm2d('plain.norm', x, { eps: 1e-3 });
  x = net.activation('relu', x, 'relu');
  x = net.conv2d('grouped.conv', x, 6, { kernel: 1, groups: 2, bias: true });
  x = net.batchNorm2d('grouped.norm', x);
  const features = net.batchNorm2d('kept', x);
  x = net.dropout('dropout', net.flatten('flatten', net.globalAvgPool('pool', features)), 0.5);
  net.linear('head', x, 2);
  return net.finish({ architecture: 'small', classes: 2, head: 'head', features });
}

function smallWeights(graph: Graph): Weights {
  const weights = new Map<string, Tensor>(formulaWeights(graph));
  for (const [name, { conv, norm }] of Object.entries(torch)) {
    for (const [node, values] of Object.entries({ conv, norm })) {
      for (const [kind, data] of Object.entries(values)) {
        const key = `${name}.${node}.${kind}`;
        weights.set(key, { shape: weights.get(key)?.shape ?? [], data: Float32Array.from(data) });
      }
    }
  }
  return weights;
}

describe('folding batch norms', () => {
  const graph = smallGraph();
  const weights = smallWeights(graph);
  const folded = foldBatchNorms(graph, weights);

  it.each(['plain', 'grouped'] as const)('gives what torch’s fuse_conv_bn_eval gives: %s', (name) => {
    for (const kind of ['weight', 'bias'] as const) {
      const data = folded.weights.get(`${name}.conv.${kind}`)?.data ?? [];
      expect(data).toHaveLength(torch[name].folded[kind].length);
      torch[name].folded[kind].forEach((value, i) => expect(data[i]).toBeCloseTo(value, 5.9));
    }
  });

  it('removes the folded norms, keeps the others and rewires', () => {
    expect(folded.graph.nodes.map(({ name, inputs }) => [name, ...inputs])).toEqual([
      ['input'],
      ['plain.conv', 'input'],
      ['relu', 'plain.conv'],
      ['grouped.conv', 'relu'],
      ['kept', 'grouped.conv'],
      ['pool', 'kept'],
      ['flatten', 'pool'],
      ['dropout', 'flatten'],
      ['head', 'dropout'],
    ]);
  });

  it('leaves weights for exactly the parameters that the new graph has', () => {
    expect([...folded.weights.keys()].sort()).toEqual(
      parametersOf(folded.graph)
        .map((spec) => spec.name)
        .sort(),
    );
  });

  it('does not touch what it was given', () => {
    expect(graph).toEqual(smallGraph());
    expect(weights).toEqual(smallWeights(graph));
  });

  it('leaves a norm whose convolution something else reads too', () => {
    const net = graphBuilder();
    const conv = net.conv2d('conv', net.input('input', 3), 4, { kernel: 1 });
    const sum = net.add('add', net.batchNorm2d('norm', conv), conv);
    net.linear('head', net.flatten('flatten', net.globalAvgPool('pool', sum)), 2);
    const shared = net.finish({ architecture: 'shared', classes: 2, head: 'head', features: 'add' });
    expect(foldBatchNorms(shared, formulaWeights(shared)).graph.nodes).toEqual(shared.nodes);
  });

  // Counted in torchvision's source: DenseNet has 58 dense layers (norm1 stays), 3 transitions (norm stays) and norm5.
  it.each([
    ['densenet121', 121, 58 + 3 + 1],
    ['resnet50', 53, 0],
    ['mobilenet_v3_small', 34, 0],
  ] as const)('of %s, which has %i, leaves %i', (name, all, left) => {
    const network = buildGraph(name, 45);
    const norms = (of: Graph): number => of.nodes.filter((node) => node.op === 'batchNorm2d').length;
    expect(norms(network)).toBe(all);
    const result = foldBatchNorms(network, formulaWeights(network));
    expect(norms(result.graph)).toBe(left);
    expect([...result.weights.keys()].sort()).toEqual(
      parametersOf(result.graph)
        .map((spec) => spec.name)
        .sort(),
    );
    const shapes = inferShapes(network, 64);
    for (const [node, shape] of inferShapes(result.graph, 64)) expect([node, shape]).toEqual([node, shapes.get(node)]);
  });
});

describe('preprocessing', () => {
  const graph = addPreprocessing(buildGraph('tiny', 3), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
  const node = graph.nodes[1];

  it('takes 0–255 to torchvision’s normalised range', () => {
    if (node?.op !== 'channelAffine') throw new Error('no preprocessing');
    const at = (value: number): number[] => node.scale.map((scale, c) => value * scale + (node.shift[c] as number));
    // transforms.Normalize(mean, std)(ToTensor()(…)) of black, of 128 and of white.
    const expected = [
      [0, [-2.1179039301, -2.0357142857, -1.8044444444]],
      [128, [0.0740645, 0.2051821, 0.4264924]],
      [255, [2.2489082969, 2.4285714286, 2.64]],
    ] as const;
    for (const [value, numbers] of expected)
      at(value).forEach((x, c) => expect(x).toBeCloseTo(numbers[c] as number, 6));
  });

  it('stands between the input and all that read it', () => {
    expect(graph.nodes.filter((n) => n.inputs.includes('input')).map((n) => n.name)).toEqual(['preprocessing']);
    expect(graph.nodes.find((n) => n.name === 'features.0.conv')?.inputs).toEqual(['preprocessing']);
  });
});

it('softmax becomes the last node', () => {
  const nodes = addSoftmax(buildGraph('tiny', 3)).nodes;
  expect(nodes.at(-1)).toEqual({ op: 'softmax', name: 'probabilities', inputs: ['classifier'] });
});

it('dropping dropout joins what stood around it', () => {
  const graph = dropDropout(buildGraph('mobilenet_v3_small', 3));
  expect(graph.nodes.some((node) => node.op === 'dropout')).toBe(false);
  expect(graph.nodes.at(-1)?.inputs).toEqual(['classifier.1']);
});
