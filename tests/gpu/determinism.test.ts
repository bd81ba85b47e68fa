import * as tf from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { signed } from '../unit/support/formulaWeights.ts';
import { openInNode } from '../unit/support/openInNode.ts';
import { expectSameBits } from '../unit/training/sameBits.ts';

it('two epochs: one seed gives one run, in this process and in another; another seed another', async () => {
  // MobileNetV3-Small takes half a minute on a software GPU.
  const network = process.env['PACERID_ALL_STEPS'] ? ({ architecture: 'mobilenet_v3_small' } as const) : {};
  await expectSameBits({ device: 'webgpu', ...network, seed: 5 }, 'npm test -- gpu/determinism');
});

const values = (name: string, shape: number[]) => new Float32Array(signed(name, tf.util.sizeFromShape(shape)));

/** Long sums of few outputs: tfjs's own kernels add them up in the order in which threads end. */
it.each([
  ['the head of ResNet50', [32, 2048], [2048, 45], (x, w) => tf.matMul(x, w)],
  ['a transposed product', [4096, 16], [32, 4096], (x, w) => tf.matMul(x, w, true, true)],
  [
    'a 3 × 3 convolution of one image',
    [1, 4, 4, 256],
    [3, 3, 256, 256],
    (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 1),
  ],
  [
    'a 1 × 1 convolution of one image',
    [1, 4, 4, 2048],
    [1, 1, 2048, 256],
    (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 0),
  ],
] as [string, number[], number[], (x: tf.Tensor, w: tf.Tensor) => tf.Tensor][])(
  '%s gives the same bits ten times',
  async (_, left, right, product) => {
    const engine = await openInNode('webgpu');
    const [x, w] = [tf.tensor(values('x', left), left), tf.tensor(values('w', right), right)];
    const results = new Set<string>();
    for (let i = 0; i < 10; i++) results.add((await tf.tidy(() => product(x, w)).data()).toString());
    await engine.dispose();
    expect(results.size).toBe(1);
  },
);
