import { describe, expect, it } from 'vitest';
import { buildGraph } from '../../../../src/architectures/index.ts';
import { describePlan, printPlan } from '../../../../src/engine/compiled/plan/print.ts';
import { trainingPlan } from '../../../../src/engine/compiled/plan/training.ts';
import { wgslKernels } from '../../../../src/engine/compiled/wgsl/kernels.ts';
import { graphBuilder } from '../../../../src/graph/builder.ts';
import type { Graph } from '../../../../src/graph/types.ts';

const kernels = wgslKernels({ software: false, subgroups: false });

function planOf(graph: Graph, images: number, imageSize: number) {
  return trainingPlan(graph, kernels, { images, imageSize, trainable: 'all', recompute: false });
}

/** A convolution 4 → 8 of 3×3 on 8 × 8 pixels, its mean, a linear layer of 4 classes: small enough to count by hand. */
function small(): Graph {
  const net = graphBuilder();
  const conv = net.conv2d('conv', net.input('input', 4), 8, { kernel: 3, bias: true });
  net.linear('head', net.flatten('flatten', net.globalAvgPool('pool', conv)), 4);
  return net.finish({ architecture: 'small', classes: 4, head: 'head', features: conv });
}

describe('a plan prints itself', () => {
  const graph = small();
  const plan = planOf(graph, 2, 8);
  const described = describePlan(graph, plan, kernels);
  const layer = (name: string) => described.layers.find(({ node }) => node === name)!;

  it('says what is done for each layer, forward and backward', () => {
    expect(layer('conv')).toMatchObject({
      shape: [2, 8, 8, 8],
      forward: ['conv'],
      backward: expect.arrayContaining(['convFilterGradient', 'columnSums']) as unknown,
    });
    expect(layer('conv').backward).not.toContain('convInputGradient');
    expect(layer('head')).toMatchObject({
      shape: [2, 4],
      forward: ['conv'],
      backward: ['crossEntropy', 'convFilterGradient', 'columnSums', 'convInputGradient'],
    });
    expect(layer('flatten').forward).toEqual([]);
  });

  it('counts operations and what is written', () => {
    // Forward and filter gradient: 2 images · 64 pixels · 9 taps · 4 · 8 multiply-adds each; of the bias an addition a value.
    const product = 2 * (2 * 64 * 9 * 4 * 8);
    expect(layer('conv').flops).toBeGreaterThanOrEqual(2 * product);
    expect(layer('conv').flops).toBeLessThan(2 * product * 1.1);
    // The map and its gradient, which is the pool's spread over the pixels; the filter's gradient and the bias's.
    const written = 4 * (2 * (2 * 64 * 8) + 9 * 4 * 8 + 8);
    expect(layer('conv').written).toBe(written);
    // Logits, gradient of the logits and losses; filter's and bias's gradient; gradient of the features.
    expect(layer('head').written).toBe(4 * (2 * 4 + (2 * 4 + 2) + 8 * 4 + 4 + 2 * 8));
    expect(described.written).toBe(described.layers.reduce((sum, { written: own }) => sum + own, 0));
    expect(described.calls).toBe(plan.calls.length);
  });

  it('finds where most memory lives, and all of what lives there', () => {
    for (const [net, one] of [
      [graph, plan],
      [buildGraph('tiny', 5), planOf(buildGraph('tiny', 5), 3, 32)],
    ] as const) {
      const { peak, arenaBytes, layers } = describePlan(net, one, kernels);
      expect(peak.bytes).toBe(one.leastBytes);
      expect(peak.memories.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(one.leastBytes);
      expect(arenaBytes).toBe(one.arena.bytes);
      expect(one.calls[peak.call]!.call).toMatchObject({ node: peak.node, kind: peak.kind });
      expect(peak.backward).toBe(peak.call >= one.backwardFrom);
      expect(Math.max(...layers.map(({ alive }) => alive))).toBe(peak.bytes);
    }
  });

  it('as a table with a line for each layer that has calls', () => {
    const text = printPlan(described);
    const lines = text.split('\n');
    expect(lines[0]).toMatch(/^Layer +Gives +Calls +GFLOP +MB moved +MB written +MB alive +Forward \| backward$/);
    expect(text).toMatch(
      /^head +2×4 +1\+4 .* conv \| crossEntropy, convFilterGradient, columnSums, convInputGradient$/m,
    );
    expect(text).not.toMatch(/^flatten/m);
    expect(text).toContain(`The arena has ${(plan.arena.bytes / 1e6).toFixed(2)} MB`);
    expect(lines.filter((line) => line.includes('◂'))).toHaveLength(1);
  });
});
