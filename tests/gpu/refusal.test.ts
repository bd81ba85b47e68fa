import { afterEach, expect, it } from 'vitest';
import { openEngine } from '../../src/engine/device.ts';
import type { Engine } from '../../src/engine/types.ts';
import { graphBuilder } from '../../src/graph/builder.ts';
import type { Graph } from '../../src/graph/types.ts';
import { nodeEngineEnvironment } from '../../src/platform/node/engineEnvironment.ts';
import { readCheckpoint } from '../../src/training/checkpoint.ts';
import { foldRun } from '../../src/training/runState.ts';
import steps from '../fixtures/steps.json' with { type: 'json' };
import { options, stepsBatch, stepsGraph } from '../unit/support/engineSuites.ts';
import { formulaWeights } from '../unit/support/formulaWeights.ts';
import { openInNode } from '../unit/support/openInNode.ts';
import { dataset, smallRun } from '../unit/training/smallRun.ts';

const MIB = 2 ** 20;

let engine: Engine | undefined;
afterEach(() => engine?.dispose());

it('images that are more than one binding are refused by name, not by an error that ends the device', async () => {
  engine = await openInNode('webgpu');
  const network = await engine.build(stepsGraph, formulaWeights(stepsGraph), options);
  const [batch] = stepsBatch(0, [6]);
  const { size } = batch!;
  const n = Math.floor(engine.adapter.limits['maxStorageBufferBindingSize']! / (size * size * 4 * 4)) + 1;
  const refused = network.predict({ images: new Float32Array(0), n, size });
  await expect(refused).rejects.toMatchObject({ name: 'GpuMemoryError' });
  expect((await network.trainStep([batch!], 0.01)).loss).toBeCloseTo(steps['whole batch'].losses[0]!, 4);
});

it('a step that the device has no buffer for is refused by name, and leaves the network as it was', async () => {
  engine = await openInNode('webgpu');
  const network = await engine.build(stepsGraph, formulaWeights(stepsGraph), options);
  const [batch] = stepsBatch(0, [6]);
  const { size } = batch!;
  // Refused before a pixel of it is looked at.
  const n = Math.ceil(engine.adapter.limits['maxBufferSize']! / (size * size * 4 * 4));
  const tooMany = { images: new Float32Array(0), labels: new Int32Array(0), n, size };
  const refused = { name: 'GpuMemoryError', remedy: expect.stringContaining('data.batch_size') };
  await expect(network.trainStep([tooMany], 0.01)).rejects.toMatchObject(refused);
  await expect(network.predict(tooMany)).rejects.toMatchObject(refused);
  const { loss } = await network.trainStep([batch!], 0.01);
  expect(loss).toBeCloseTo(steps['whole batch'].losses[0]!, 4);
  await expect(network.trainStep([tooMany], 0.01)).rejects.toMatchObject(refused);
  expect((await network.trainStep(stepsBatch(1, [6]), 0.01)).loss).toBeCloseTo(steps['whole batch'].losses[1]!, 4);
});

/** A device of 256 MiB a buffer, whose adapter says that it has more. */
async function openSmaller(): Promise<Engine> {
  const environment = await nodeEngineEnvironment({ gpu: true });
  const { gpu } = environment;
  const requestAdapter: GPU['requestAdapter'] = async (wish) => {
    const adapter = await gpu!.requestAdapter(wish);
    const requestDevice = adapter!.requestDevice.bind(adapter);
    adapter!.requestDevice = (asked) =>
      requestDevice({
        ...asked,
        requiredLimits: {
          ...asked?.requiredLimits,
          maxBufferSize: 256 * MIB,
          maxStorageBufferBindingSize: 128 * MIB,
        },
      });
    return adapter;
  };
  return openEngine('webgpu', { ...environment, gpu: { requestAdapter } as GPU });
}

/** Bottlenecks of `width` channels: 4 KiB an image for each of them at 32 px. */
function wideGraph(blocks: number, width: number): Graph {
  const net = graphBuilder();
  let x = net.input('input', 3);
  x = net.conv2d('stem', x, 4, { kernel: 3 });
  for (let block = 1; block <= blocks; block++) {
    let y = net.batchNorm2d(`${block}.norm1`, x);
    y = net.activation(`${block}.relu1`, y, 'relu');
    y = net.conv2d(`${block}.conv1`, y, width, { kernel: 1 });
    y = net.batchNorm2d(`${block}.norm2`, y);
    y = net.activation(`${block}.relu2`, y, 'relu');
    x = net.conv2d(`${block}.conv2`, y, 4, { kernel: 1 });
  }
  const features = x;
  x = net.flatten('flatten', net.globalAvgPool('pool', features));
  net.linear('classifier', x, 3);
  return net.finish({ architecture: 'tiny', classes: 3, head: 'classifier', features });
}

/** 17 to train, 3 to validate, 5 of the Test split. */
const few = { ...dataset, images: dataset.images.filter((_, i) => i % 3 === 0) };

/** A run on the smaller device; one on the whole device that goes through in parts of `part` from the beginning; arenas of the former. */
async function runs(graph: Graph, part: number) {
  const change = { device: 'webgpu', epochs: 1 } as const;
  let arena: (images: number, recompute: boolean) => number = () => Number.NaN;
  const run = await smallRun({
    graph,
    data: few,
    change,
    engine: async () => {
      const smaller = await openSmaller();
      arena = (images, recompute) =>
        smaller.stepBytes(graph, {
          images,
          imageSize: 32,
          trainable: 'all',
          optimiser: options.optimiser,
          recompute,
        }).buffer;
      return smaller;
    },
  });
  expect(run.error).toBeNull();
  const said = run.events.filter(({ type }) => type === 'notice' || type === 'batchSplit' || type === 'finished');
  const { batchnormBatch } = readCheckpoint((await run.store.readCheckpoint('small', 'latest'))!);
  const whole = await smallRun({ graph, data: few, change: { ...change, batchnorm_batch: part } });
  const losses = ({ events }: typeof run) => foldRun(events).steps.map(({ loss }) => loss);
  return { said, batchnormBatch, arena, losses: losses(run), expected: losses(whole) };
}

const RECOMPUTED = { type: 'notice', text: expect.stringContaining('computed twice') as unknown };

it('a run whose device refuses its batch goes on with recomputation, says so, and learns the same', async () => {
  const { said, batchnormBatch, arena, losses, expected } = await runs(wideGraph(3, 1024), 16);
  expect(arena(16, false)).toBeGreaterThan(256 * MIB);
  expect(arena(17, true)).toBeLessThan(256 * MIB);
  expect(said).toMatchObject([RECOMPUTED, { type: 'finished', reason: 'completed' }]);
  expect(batchnormBatch).toBe(16);
  expect(losses).toEqual(expected);
});

it('where that is refused too, it goes through in parts, of which BatchNorm sees one at a time', async () => {
  const { said, batchnormBatch, arena, losses, expected } = await runs(wideGraph(2, 2048), 8);
  expect(arena(16, true)).toBeGreaterThan(256 * MIB);
  expect(arena(9, true)).toBeLessThan(256 * MIB);
  expect(said).toMatchObject([
    RECOMPUTED,
    {
      type: 'batchSplit',
      batchnormBatch: 8,
      reason: expect.stringMatching(/in parts of 8 images; BatchNorm sees a part/),
    },
    { type: 'finished', reason: 'completed' },
  ]);
  expect(batchnormBatch).toBe(8);
  expect(losses).toEqual(expected);
});
