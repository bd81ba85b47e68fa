import type * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildGraph } from '../../../src/architectures/index.ts';
import { OutOfMemoryError } from '../../../src/engine/errors.ts';
import { allocate, free } from '../../../src/engine/reference/wasmGradients/heap.ts';
import type { Engine, LabelledBatch } from '../../../src/engine/types.ts';
import { options, stepsBatch, stepsGraph } from '../support/engineSuites.ts';
import { formulaImages, formulaWeights } from '../support/formulaWeights.ts';
import { openInNode } from '../support/openInNode.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await openInNode('wasm');
});
afterAll(() => engine.dispose());

function batch(n: number, size: number, classes: number): LabelledBatch {
  return { images: formulaImages(n, size), labels: Int32Array.from({ length: n }, (_, i) => i % classes), n, size };
}

it('holds what an optimiser keeps from the first step on, and no more after ten', async () => {
  const network = await engine.build(stepsGraph, formulaWeights(stepsGraph), options);
  const answering = engine.memory();
  await network.trainStep(stepsBatch(0, [4, 2]), 0.01);
  const before = engine.memory();
  expect(before.bytes).toBeGreaterThan(answering.bytes);
  for (let step = 0; step < 10; step++) {
    await network.trainStep(stepsBatch(step % 5, [4, 2]), 0.01);
    await network.predict(stepsBatch(step % 5, [6])[0]!);
    await network.readWeights();
  }
  expect(engine.memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
  network.dispose();
});

it('frees activations while the backward pass runs, and everything when it is disposed of', async () => {
  const empty = engine.memory();
  const graph = buildGraph('mobilenet_v3_small', 5);
  const network = await engine.build(graph, formulaWeights(graph), options);
  await network.trainStep([batch(4, 64, 5)], 0.001);
  network.dispose();
  await expect(network.readWeights()).rejects.toThrow('disposed');
  expect(engine.memory()).toMatchObject({ tensors: empty.tensors, bytes: empty.bytes });
});

it('gives commands a turn in the middle of a long step', async () => {
  const graph = buildGraph('mobilenet_v3_small', 5);
  const network = await engine.build(graph, formulaWeights(graph), options);
  const turns: number[] = [];
  const clock = setInterval(() => turns.push(performance.now()), 20);
  const started = performance.now();
  await network.trainStep([batch(48, 128, 5)], 0.001);
  const took = performance.now() - started;
  clearInterval(clock);
  network.dispose();
  // Without turns the timer would not be heard before the end. One layer may take longer than the 200 ms aimed at.
  expect(turns.length).toBeGreaterThanOrEqual(Math.floor(took / 500));
});

describe('head only', () => {
  it('leaves every other parameter and every running statistic bitwise as it was, and learns', async () => {
    const graph = buildGraph('mobilenet_v3_small', 5);
    const weights = formulaWeights(graph);
    const network = await engine.build(graph, weights, { ...options, trainable: 'head' });
    const data = batch(8, 64, 5);
    const losses: number[] = [];
    for (let step = 0; step < 8; step++) losses.push((await network.trainStep([data], 0.01)).loss);
    expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.7);
    const after = await network.readWeights();
    const changed = [...after].filter(([name, { data: values }]) => {
      const old = weights.get(name)!.data;
      return values.some((value, i) => !Object.is(value, old[i]));
    });
    expect(changed.map(([name]) => name).sort()).toEqual(['classifier.3.bias', 'classifier.3.weight']);
    expect([...(await network.readOptimiser()).moments.keys()].sort()).toEqual([
      'classifier.3.bias.exp_avg',
      'classifier.3.bias.exp_avg_sq',
      'classifier.3.weight.exp_avg',
      'classifier.3.weight.exp_avg_sq',
    ]);
    network.dispose();
  });

  it('sees the logits that eval mode gives, dropout included', async () => {
    const graph = buildGraph('mobilenet_v3_small', 5);
    const network = await engine.build(graph, formulaWeights(graph), { ...options, trainable: 'head' });
    const data = batch(3, 64, 5);
    const predicted = await network.predict(data);
    const { logits } = await network.trainStep([data], 0.01);
    expect([...logits]).toEqual([...predicted]);
    network.dispose();
  });
});

it('goes on from written weights and optimiser state as if it had never stopped', async () => {
  const one = await engine.build(stepsGraph, formulaWeights(stepsGraph), options);
  await one.trainStep(stepsBatch(0, [6]), 0.01);
  const other = await engine.build(stepsGraph, formulaWeights(stepsGraph), options);
  await other.writeWeights(await one.readWeights());
  await other.writeOptimiser(await one.readOptimiser());
  for (let step = 1; step < 3; step++) {
    const a = await one.trainStep(stepsBatch(step, [6]), 0.01);
    const b = await other.trainStep(stepsBatch(step, [6]), 0.01);
    expect(b).toEqual(a);
  }
  one.dispose();
  other.dispose();
});

it('drops by its own seed: the same seed the same step, another seed another', async () => {
  const graph = buildGraph('mobilenet_v3_small', 5);
  const losses: number[] = [];
  for (const seed of [1, 1, 2]) {
    const network = await engine.build(graph, formulaWeights(graph), { ...options, seed });
    losses.push((await network.trainStep([batch(4, 64, 5)], 0.001)).loss);
    network.dispose();
  }
  expect(losses[1]).toBe(losses[0]);
  expect(losses[2]).not.toBe(losses[0]);
});

it('refuses weights of another shape, labels out of range and a batch of the wrong size, by name', async () => {
  const graph = buildGraph('tiny', 3);
  const weights = new Map(formulaWeights(graph));
  weights.set('classifier.weight', { shape: [4, 128], data: new Float32Array(512) });
  await expect(engine.build(graph, weights, options)).rejects.toThrow('classifier.weight has shape [4,128]');
  const network = await engine.build(graph, formulaWeights(graph), options);
  const bad = { ...batch(2, 32, 3), labels: Int32Array.of(0, 3) };
  await expect(network.trainStep([bad], 0.01)).rejects.toThrow('Label 3');
  await expect(network.predict({ ...batch(2, 32, 3), size: 31 })).rejects.toThrow('no batch');
  network.dispose();
});

it('a full heap is an error with a remedy, not a write to address 0', async () => {
  const whole: tf.TensorInfo[] = [];
  expect(() => {
    for (let i = 0; i < 5; i++) whole.push(allocate([2 ** 28]));
  }).toThrow(OutOfMemoryError);
  expect(whole.length).toBeGreaterThan(0);
  free(...whole);
  free(allocate([2 ** 28]));
});
