import { getKernel, getKernelsForBackend, memory } from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { buildGraph } from '../../../src/architectures/index.ts';
import { openInference } from '../../../src/engine/inference.ts';
import { nodeEngineEnvironment } from '../../../src/platform/node/engineEnvironment.ts';
import { formulaWeights } from '../support/formulaWeights.ts';
import { logitsSuite } from '../support/engineSuites.ts';

const open = async () => openInference(await nodeEngineEnvironment({ gpu: false }));

logitsSuite(open, { quantity: 'logits, by tfjs’s own kernels', on: 'wasm', command: 'npm test -- engine/inference' });

it('has tfjs’s own kernels and none of ours', async () => {
  const engine = await open();
  expect(engine.adapter.backend).toBe('wasm');
  expect(getKernelsForBackend('wasm').map(({ kernelName }) => kernelName)).toContain('Conv2D');
  expect(getKernelsForBackend('wasm').filter(({ kernelName }) => kernelName.startsWith('Pacer'))).toEqual([]);
  expect(getKernel('Conv2DBackpropFilter', 'wasm')).toBeUndefined();
});

it('says which parameter is missing', async () => {
  const engine = await open();
  const graph = buildGraph('tiny', 3);
  const weights = new Map(formulaWeights(graph));
  weights.delete('classifier.bias');
  const before = memory().numTensors;
  await expect(engine.build(graph, weights)).rejects.toThrow('The weights lack classifier.bias.');
  expect(memory().numTensors).toBe(before);
});

it('answers one image after another, and not at all once it is disposed of', async () => {
  const engine = await open();
  const graph = buildGraph('tiny', 3);
  const before = memory().numTensors;
  const network = await engine.build(graph, formulaWeights(graph));
  const built = memory().numTensors;
  const batch = { images: new Float32Array(32 * 32 * 3).fill(0.5), n: 1, size: 32 };
  const [first, second] = await Promise.all([network.predict(batch), network.predict(batch)]);
  expect(first).toEqual(second);
  expect(memory().numTensors).toBe(built);
  network.dispose();
  await expect(network.predict(batch)).rejects.toThrow('disposed');
  expect(memory().numTensors).toBe(before);
});
