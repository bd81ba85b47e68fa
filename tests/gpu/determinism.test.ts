import { expect, it } from 'vitest';
import { buildGraph } from '../../src/architectures/index.ts';
import { options } from '../unit/support/engineSuites.ts';
import { formulaWeights, signed } from '../unit/support/formulaWeights.ts';
import { openInNode } from '../unit/support/openInNode.ts';
import { expectSameBits } from '../unit/training/sameBits.ts';

it('two epochs: one seed gives one run, in this process and in another; another seed another', async () => {
  // MobileNetV3-Small takes half a minute on a software GPU.
  const network = process.env['PACERID_ALL_STEPS'] ? ({ architecture: 'mobilenet_v3_small' } as const) : {};
  await expectSameBits({ device: 'webgpu', ...network, seed: 5 }, 'npm test -- gpu/determinism');
});

it.each(['resnet50', 'densenet121'] as const)('%s gives the same bits for four images of 32 px twice', async (name) => {
  const engine = await openInNode('webgpu');
  const graph = buildGraph(name, 5);
  const network = await engine.build(graph, formulaWeights(graph), options);
  const batch = { images: Float32Array.from(signed('images', 4 * 32 * 32 * 3)), n: 4, size: 32 };
  const labels = Int32Array.of(0, 1, 2, 3);
  const [first, second] = [await network.predict(batch), await network.predict(batch)];
  const results = [];
  for (let i = 0; i < 2; i++) {
    await network.writeWeights(formulaWeights(graph));
    results.push(await network.trainStep([{ ...batch, labels }], 0));
  }
  await engine.dispose();
  expect(second).toEqual(first);
  expect(results[1]).toEqual(results[0]);
});
