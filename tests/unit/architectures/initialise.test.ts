import { describe, expect, it } from 'vitest';
import { architectures, buildGraph } from '../../../src/architectures/index.ts';
import { initialHead, initialWeights } from '../../../src/architectures/initialise.ts';
import { parametersOf } from '../../../src/graph/parameters.ts';
import torch from '../../fixtures/initialisation.json' with { type: 'json' };

/** Root mean square. */
const deviation = (data: Float32Array): number => Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);

describe.each(['densenet121', 'resnet50', 'mobilenet_v3_small'] as const)('%s', (name) => {
  const graph = buildGraph(name, 1000);
  const weights = initialWeights(graph, architectures[name], 42);
  const expected: Record<string, number> = torch[name];

  it('fills every parameter and statistic, in its shape', () => {
    expect([...weights].map(([key, { shape, data }]) => [key, shape, data.length])).toEqual(
      parametersOf(graph).map((spec) => [spec.name, spec.shape, spec.shape.reduce((a, b) => a * b, 1)]),
    );
  });

  it('draws convolutions and linear layers as widely as torchvision', () => {
    const wrong = Object.entries(expected).filter(([key, theirs]) => {
      const data = weights.get(key)?.data ?? new Float32Array([NaN]);
      // Two samples of n values: their deviations differ by theirs / √n, one sigma.
      return !(Math.abs(deviation(data) - theirs) <= (5 * theirs) / Math.sqrt(data.length));
    });
    expect(wrong).toEqual([]);
  });

  it('starts batch norms at 1, 0, 0, 1', () => {
    const starts = { weight: 1, bias: 0, running_mean: 0, running_var: 1 };
    const norms = new Set(graph.nodes.filter((node) => node.op === 'batchNorm2d').map((node) => node.name));
    for (const spec of parametersOf(graph).filter(({ node }) => norms.has(node))) {
      expect(weights.get(spec.name)?.data.every((x) => x === starts[spec.kind])).toBe(true);
    }
  });
});

describe('a replaced head', () => {
  const head = initialHead(buildGraph('densenet121', 450), 1);

  it.each(['weight', 'bias'] as const)('has a %s as wide as torch’s nn.Linear', (kind) => {
    const data = head.get(`classifier.${kind}`)?.data as Float32Array;
    const theirs = torch.linear[kind];
    expect(Math.abs(deviation(data) / theirs.deviation - 1)).toBeLessThan(5 / Math.sqrt(data.length));
    const largest = data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    expect(largest).toBeLessThanOrEqual(1 / 32);
    expect(Math.abs(largest / theirs.largest - 1)).toBeLessThan(0.02);
  });
});

describe('a tensor’s values', () => {
  const tiny = (classes: number, seed: number) => initialWeights(buildGraph('tiny', classes), architectures.tiny, seed);
  const conv = 'features.0.conv.weight';

  it('depend on the seed and the name, not on the rest of the graph', () => {
    expect(tiny(3, 5).get(conv)).toEqual(tiny(8, 5).get(conv));
    expect(tiny(3, 5).get(conv)).not.toEqual(tiny(3, 6).get(conv));
    expect(tiny(3, 5).get('features.2.conv.weight')?.data.slice(0, 8)).not.toEqual(
      tiny(3, 5).get('features.4.conv.weight')?.data.slice(0, 8),
    );
  });
});
