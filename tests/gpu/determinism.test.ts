import * as tf from '@tensorflow/tfjs';
import { expect, it, vi } from 'vitest';
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

const values = (name: string, shape: number[]) => new Float32Array(signed(name, tf.util.sizeFromShape(shape)));

type Product = (x: tf.Tensor, w: tf.Tensor) => tf.Tensor;
const convolution =
  (stride: number, pad: number): Product =>
  (x, w) =>
    tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, stride, pad);

/** Long sums of few outputs: tfjs's own kernels add them up in the order in which threads end. */
it.each([
  ['the head of ResNet50', [32, 2048], [2048, 45], (x, w) => tf.matMul(x, w)],
  ['a transposed product', [4096, 16], [32, 4096], (x, w) => tf.matMul(x, w, true, true)],
  ['a 3 × 3 convolution of one image', [1, 4, 4, 256], [3, 3, 256, 256], convolution(1, 1)],
  ['a 1 × 1 convolution of one image', [1, 4, 4, 2048], [1, 1, 2048, 256], convolution(1, 0)],
  ['a 1 × 1 convolution of eight images of one pixel', [8, 1, 1, 2048], [1, 1, 2048, 512], convolution(1, 0)],
  ['a convolution as large as its four images', [4, 3, 3, 256], [3, 3, 256, 256], convolution(2, 0)],
  ['a convolution of stride 2, small at its output alone', [1, 12, 12, 256], [3, 3, 256, 256], convolution(2, 0)],
] as [string, number[], number[], Product][])('%s gives the same bits ten times', async (_, left, right, product) => {
  const engine = await openInNode('webgpu');
  const [x, w] = [tf.tensor(values('x', left), left), tf.tensor(values('w', right), right)];
  const results = new Set<string>();
  for (let i = 0; i < 10; i++) results.add((await tf.tidy(() => product(x, w)).data()).toString());
  await engine.dispose();
  expect(results.size).toBe(1);
});

it.each(['resnet50', 'densenet121'] as const)('%s gives the same bits for four images of 32 px twice', async (name) => {
  const engine = await openInNode('webgpu');
  const graph = buildGraph(name, 5);
  const network = await engine.build(graph, formulaWeights(graph), options);
  const batch = { images: values('images', [4, 32, 32, 3]), n: 4, size: 32 };
  const [first, second] = [await network.predict(batch), await network.predict(batch)];
  await engine.dispose();
  expect(second).toEqual(first);
});

interface WebGpuBackend {
  thresholdToIncreaseWorkgroups: number;
  makeTensorInfo(shape: number[], dtype: string): tf.TensorInfo;
  runWebGPUProgram(program: { atomic?: boolean; outputShape: number[] }, inputs: unknown, dtype: string): tf.TensorInfo;
}

/** How many outputs tfjs takes for few depends on the GPU, so its choices are looked at here and nothing is computed. */
it.each([
  [8, 'most GPUs'],
  [16, 'newer ones of Intel'],
])('no convolution adds atomically where up to %i tiles are few (%s)', async (tiles) => {
  const engine = await openInNode('webgpu');
  const backend = tf.backend() as unknown as WebGpuBackend;
  backend.thresholdToIncreaseWorkgroups = tiles;
  let [atomic, convolutions] = [false, 0];
  const running = vi.spyOn(backend, 'runWebGPUProgram').mockImplementation((program, _, dtype) => {
    atomic ||= program.atomic === true;
    return backend.makeTensorInfo(program.outputShape, dtype);
  });
  const empty = (shape: [number, number, number, number]) =>
    tf.engine().makeTensorFromTensorInfo(backend.makeTensorInfo(shape, 'float32')) as tf.Tensor4D;
  const found: object[] = [];
  for (const images of [1, 2, 8, 32])
    for (const size of [1, 2, 3, 4, 7, 10, 12, 14, 28])
      for (const kernel of [1, 3, 7])
        for (const [stride, pad] of [
          [1, 0],
          [1, 1],
          [2, 0],
          [2, 1],
          [2, 3],
        ] as const)
          for (const channels of [256, 512, 2048])
            for (const out of [45, 128, 256, 512, 1024]) {
              if (size + 2 * pad < kernel) continue;
              atomic = false;
              convolutions++;
              tf.tidy(() =>
                tf.conv2d(empty([images, size, size, channels]), empty([kernel, kernel, channels, out]), stride, pad),
              );
              if (atomic) found.push({ images, size, kernel, stride, pad, channels, out });
            }
  running.mockRestore();
  await engine.dispose();
  expect(convolutions).toBeGreaterThan(5000);
  expect(found).toEqual([]);
});
