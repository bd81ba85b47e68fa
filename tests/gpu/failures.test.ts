import * as tf from '@tensorflow/tfjs';
import { afterEach, expect, it } from 'vitest';
import { isSupported } from '../../src/engine/compiled/plan/compile.ts';
import type { Engine, Network } from '../../src/engine/types.ts';
import steps from '../fixtures/steps.json' with { type: 'json' };
import { options, stepsBatch, stepsGraph } from '../unit/support/engineSuites.ts';
import { formulaWeights } from '../unit/support/formulaWeights.ts';
import { openInNode } from '../unit/support/openInNode.ts';

let engine: Engine | undefined;
afterEach(() => engine?.dispose());

async function open(): Promise<Network> {
  engine = await openInNode('webgpu');
  return engine.build(stepsGraph, formulaWeights(stepsGraph), options);
}

it('what fails here is the compiled engine', () => {
  expect(isSupported(stepsGraph)).toBe(true);
});

/** The device under tfjs's backend, which is the compiled engine's, too. */
function deviceInUse(): GPUDevice {
  return (tf.backend() as unknown as { device: GPUDevice }).device;
}

it('an error that nobody caught fails the step, and every later call', async () => {
  const network = await open();
  await network.trainStep(stepsBatch(0, [6]), 0.01);
  const step = network.trainStep(stepsBatch(1, [6]), 0.01);
  // No buffer may be bound as storage and mapped at once: a validation error outside every error scope.
  deviceInUse().createBuffer({ size: 4, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.MAP_READ });
  await expect(step).rejects.toMatchObject({ name: 'GpuError', remedy: expect.stringContaining('batch_size') });
  await expect(network.predict(stepsBatch(0, [6])[0]!)).rejects.toMatchObject({ name: 'GpuError' });
});

it('a buffer beyond the limits fails the step instead of yielding zeros', async () => {
  const network = await open();
  const step = network.trainStep(stepsBatch(0, [6]), 0.01);
  const tooLarge = deviceInUse().limits.maxBufferSize + 4;
  deviceInUse().createBuffer({ size: tooLarge, usage: GPUBufferUsage.STORAGE });
  await expect(step).rejects.toMatchObject({ name: 'GpuError' });
});

it('a lost device rejects what is under way, resolves `lost`, and a new one trains on from the weights', async () => {
  const first = await open();
  const one = await first.trainStep(stepsBatch(0, [6]), 0.01);
  expect(one.loss).toBeCloseTo(steps['whole batch'].losses[0]!, 4);
  const weights = await first.readWeights();
  const optimiser = await first.readOptimiser();

  const { lost } = engine!;
  const underWay = first.trainStep(stepsBatch(1, [6]), 0.01);
  deviceInUse().destroy();
  await expect(underWay).rejects.toMatchObject({ name: 'DeviceLostError' });
  expect(await lost).toBeTypeOf('string');
  await expect(first.readWeights()).rejects.toMatchObject({ name: 'DeviceLostError' });
  await engine!.dispose();

  engine = await openInNode('webgpu');
  const second = await engine.build(stepsGraph, weights, options);
  await second.writeOptimiser(optimiser);
  const two = await second.trainStep(stepsBatch(1, [6]), 0.01);
  expect(two.loss).toBeCloseTo(steps['whole batch'].losses[1]!, 4);
});

it('holds no more after ten steps than after two', async () => {
  const network = await open();
  const after: { tensors: number; bytes: number; gpu: number }[] = [];
  for (let step = 0; step < 10; step++) {
    await network.trainStep(stepsBatch(step % 5, [4, 2]), 0.01);
    await network.predict(stepsBatch(step % 5, [6])[0]!);
    const { tensors, bytes } = engine!.memory();
    const { numBytesInGPU } = tf.memory() as unknown as { numBytesInGPU: number };
    after.push({ tensors, bytes, gpu: numBytesInGPU });
  }
  expect(after[9]).toEqual(after[1]);
});
