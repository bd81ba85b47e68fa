import * as tf from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { clipScaleOnWebGpu } from '../../src/engine/reference/webgpuKernels/clipping.ts';
import { signed } from '../unit/support/formulaWeights.ts';
import { openInNode } from '../unit/support/openInNode.ts';
import { optimiserSuite } from '../unit/support/optimiserSuite.ts';

optimiserSuite(() => openInNode('webgpu'), 'webgpu', 'npm test -- optimisers --only gpu');

it('the norm of the whole gradient counts every value of large and small parameters once, twice the same to the bit', async () => {
  const engine = await openInNode('webgpu');
  // More than a workgroup's share, a share and one, none but a few: 4·10⁵ values of a norm of about 3.6.
  const sizes = [400_000, 16_385, 16_384, 17, 1];
  const values = sizes.map((size, i) => Float32Array.from(signed(`gradient ${i}`, size), (value) => value * 0.01));
  const gradients = values.map((each) => tf.tensor1d(each));
  const norm = Math.sqrt(values.reduce((sum, each) => sum + each.reduce((own, value) => own + value * value, 0), 0));
  const scales: number[] = [];
  for (const maxNorm of [1, 1, 100]) {
    const scale = clipScaleOnWebGpu(gradients, maxNorm);
    scales.push((await scale.data())[0]!);
    scale.dispose();
  }
  expect(norm).toBeGreaterThan(3);
  expect(Math.abs(scales[0]! * norm - 1)).toBeLessThan(1e-5);
  expect(scales[1]).toBe(scales[0]);
  expect(scales[2]).toBe(1);
  await engine.dispose();
});
