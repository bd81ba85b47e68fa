import * as tf from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { buildGraph } from '../../../src/architectures/index.ts';
import { drawSample } from '../../../src/dataset/sample/drawSample.ts';
import { answering } from '../../../src/demo/answering.ts';
import { BackendUnavailableError, OutOfMemoryError } from '../../../src/engine/errors.ts';
import type { ModelDescription } from '../../../src/export/demo/modelDescription.ts';
import { openInference, type InferenceEngine } from '../../../src/engine/inference.ts';
import { nodeEngineEnvironment } from '../../../src/platform/node/engineEnvironment.ts';
import { imageDecoder } from '../../../src/platform/node/imageDecoder.ts';
import { writeSafetensors } from '../../../src/weights/safetensors.ts';
import { formulaWeights } from '../support/formulaWeights.ts';
import { modelDescription } from '../support/modelDescription.ts';

const graph = buildGraph('tiny', 3);
const weights = writeSafetensors(formulaWeights(graph), {});
const description = modelDescription(weights);
const [sample] = drawSample({ seed: 1, classes: 1, train_per_class: 1, test_per_class: 0, size: 40 });
const image = new Blob([new Uint8Array(sample!.png)]);

/** The model on real engines; `change` lets one of them fail. */
async function model(
  change: (engine: InferenceEngine, opened: number) => InferenceEngine,
  [about, of]: readonly [ModelDescription, Uint8Array] = [description, weights],
) {
  const environment = await nodeEngineEnvironment({ gpu: false });
  let opened = 0;
  const open = async () => change(await openInference(environment), (opened += 1));
  return { ...answering(about, of, { open, decoder: imageDecoder() }), opened: () => opened };
}

/** What is given back is given back in the network's own turn. */
const settled = () => new Promise((resolve) => setTimeout(resolve));

it('a network whose memory is full is given up before the next one is opened', async () => {
  const before = tf.memory().numTensors;
  const one = await model((engine, opened) => ({
    ...engine,
    build: async (...given) => {
      const network = await engine.build(...given);
      return opened > 2 ? network : { ...network, predict: () => Promise.reject(new OutOfMemoryError(1)) };
    },
  }));
  await one.device();
  const held = tf.memory().numTensors - before;
  expect(held).toBeGreaterThan(0);
  for (let times = 0; times < 2; times++) {
    await expect(one.answer(image)).rejects.toMatchObject({ name: 'CannotComputeError' });
    await settled();
    expect(tf.memory().numTensors).toBe(before);
  }
  expect((await one.answer(image)).classes).toHaveLength(3);
  expect(tf.memory().numTensors).toBe(before + held);
  expect(one.opened()).toBe(3);
});

it('a device that could not be opened is opened for the next image', async () => {
  const one = await model((engine, opened) => {
    if (opened === 1) throw new BackendUnavailableError('WebAssembly', 'not now');
    return engine;
  });
  await expect(one.device()).rejects.toMatchObject({ name: 'CannotComputeError', kept: 'The model is still loaded.' });
  expect((await one.answer(image)).classes).toHaveLength(3);
  expect(await one.device()).toContain('WebAssembly');
  expect(one.opened()).toBe(2);
});

it('a device that is lost is replaced once, however late it says so', async () => {
  let lose: (reason: string) => void = () => undefined;
  const one = await model((engine, opened) => {
    if (opened > 1) return engine;
    const lost = new Promise<string>((resolve) => (lose = resolve));
    const build: InferenceEngine['build'] = async (...given) => ({
      ...(await engine.build(...given)),
      predict: () => Promise.reject(new OutOfMemoryError(1)),
    });
    return { ...engine, lost, build };
  });
  await expect(one.answer(image)).rejects.toMatchObject({ name: 'CannotComputeError' });
  await one.answer(image);
  lose('asleep');
  await settled();
  await one.answer(image);
  expect(one.opened()).toBe(2);
});

it('computes with the epsilon that the description says', async () => {
  const asked = async (about: Partial<ModelDescription>, shift: number): Promise<number[]> => {
    const tensors = [...formulaWeights(graph)].map(([name, { shape, data }]) => {
      const shifted = name.endsWith('running_var') ? data.map((value) => value + shift) : data;
      return [name, { shape, data: shifted }] as const;
    });
    const bytes = writeSafetensors(new Map(tensors), {});
    const one = await model((engine) => engine, [modelDescription(bytes, about), bytes]);
    return (await one.answer(image)).classes.map(({ probability }) => probability);
  };
  const [without, said, byHand] = await Promise.all([
    asked({}, 0),
    asked({ batchNormEps: 0.25 }, 0),
    // √(v + 0.25) = √((v + 0.25 − 0.00001) + 0.00001)
    asked({}, 0.25 - 1e-5),
  ]);
  expect(Math.abs(said[0]! - without[0]!)).toBeGreaterThan(1e-3);
  said.forEach((probability, i) => expect(probability).toBeCloseTo(byHand[i]!, 5));
});
