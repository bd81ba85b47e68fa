import { describe, expect, it } from 'vitest';
import { architectures, buildGraph } from '../../../src/architectures/index.ts';
import type { ArchitectureName } from '../../../src/architectures/settings.ts';
import { countsOf } from '../../../src/graph/counts.ts';
import { parametersOf } from '../../../src/graph/parameters.ts';
import { inferShapes } from '../../../src/graph/shapes.ts';
import shapes from '../../fixtures/shapes.json' with { type: 'json' };
import stateDicts from '../../fixtures/state_dicts.json' with { type: 'json' };

const names = ['densenet121', 'resnet50', 'mobilenet_v3_small'] as const;

const entriesOf = (name: ArchitectureName, classes: number) =>
  parametersOf(buildGraph(name, classes)).map((spec) => [spec.name, spec.shape]);

describe.each(names)('%s', (name) => {
  const torchvision = stateDicts[name];

  it('has the names and shapes of torchvision’s state_dict, in its order, for 1000 classes', () => {
    expect(entriesOf(name, 1000)).toEqual(torchvision.entries);
  });

  it('has them for 45 classes', () => {
    const otherwise: Record<string, number[]> = torchvision.otherwiseWith45Classes;
    expect(Object.keys(otherwise)).toEqual([
      `${architectures[name].build(45).head}.weight`,
      `${architectures[name].build(45).head}.bias`,
    ]);
    expect(entriesOf(name, 45)).toEqual(
      torchvision.entries.map(([key, shape]) => [key, otherwise[key as string] ?? shape]),
    );
  });

  it('normalises as torchvision’s ImageNet weights want it', () => {
    expect([architectures[name].mean, architectures[name].std]).toEqual([torchvision.mean, torchvision.std]);
  });

  it('has torchvision’s eps and momentum in every batch norm', () => {
    const ours = buildGraph(name, 45).nodes.flatMap((node) =>
      node.op === 'batchNorm2d' ? [[node.name, [node.eps, node.momentum]] as const] : [],
    );
    expect(Object.fromEntries(ours)).toEqual(torchvision.batchNorms);
  });

  it('has as many trainable parameters', () => {
    expect(countsOf(buildGraph(name, 1000), 224).parameters).toBe(torchvision.parameters);
    expect(countsOf(buildGraph(name, 45), 224).parameters).toBe(torchvision.parametersWith45Classes);
    expect(architectures[name].parameterCount).toBe(torchvision.parameters);
  });

  it.each([75, 224])('gives the shapes and multiply-adds of torchvision’s modules at %i px', (size) => {
    const { macs, shapes: expected } = shapes[name][`${size} px` as '75 px'];
    const graph = buildGraph(name, 45);
    const found = inferShapes(graph, size);
    // Names of ours that torchvision has too, and everything with parameters.
    const shared = Object.keys(expected).filter((key) => found.has(key));
    expect(Object.fromEntries(shared.map((key) => [key, found.get(key)]))).toEqual(
      Object.fromEntries(shared.map((key) => [key, expected[key as keyof typeof expected]])),
    );
    expect(shared).toEqual(expect.arrayContaining(parametersOf(graph).map((spec) => spec.node)));
    expect(countsOf(graph, size).macs).toBe(macs);
  });
});

describe('forward multiply-adds at 224 px with 1000 classes, as the literature has them', () => {
  it.each([
    ['densenet121', 2.83e9],
    ['resnet50', 4.09e9],
    ['mobilenet_v3_small', 0.057e9],
  ] as const)('%s', (name, macs) => {
    expect(Math.abs(countsOf(buildGraph(name, 1000), 224).macs / macs - 1)).toBeLessThan(0.01);
  });
});

describe('memory that training keeps for an image at 224 px', () => {
  // Measured with a backward pass that frees early (docs of the engine): 195 and 150 MB.
  it.each([
    ['densenet121', 195e6],
    ['resnet50', 150e6],
  ] as const)('%s', (name, bytes) => {
    const counts = countsOf(buildGraph(name, 1000), 224);
    expect(Math.abs(counts.activationBytes / bytes - 1)).toBeLessThan(0.02);
    // The first convolution's output, 112 · 112 · 64 floats.
    expect(counts.largestActivationBytes).toBe(112 * 112 * 64 * 4);
  });
});

describe('tiny', () => {
  it('has under 100,000 parameters with 8 classes', () => {
    expect(countsOf(buildGraph('tiny', 8), 64).parameters).toBeLessThan(100_000);
    expect(countsOf(buildGraph('tiny', 1000), 64).parameters).toBe(architectures.tiny.parameterCount);
  });
});

it.each(Object.values(architectures))(
  '$name runs at its smallest size, and its head and features exist',
  (architecture) => {
    const graph = architecture.build(7);
    const found = inferShapes(graph, architecture.minimumSize);
    expect(found.get(graph.features)).toHaveLength(3);
    expect(found.get(graph.head)).toEqual([7]);
    expect(graph.nodes.at(-1)?.name).toBe(graph.head);
  },
);
