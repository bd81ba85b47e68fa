import * as tf from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { run } from '../../../src/engine/reference/ops/kernel.ts';
import { distance, layersSuite, logitsSuite, nanSuite, stepsSuite } from '../support/engineSuites.ts';
import { openInNode } from '../support/openInNode.ts';

const open = () => openInNode('wasm');

layersSuite(open);
stepsSuite(open);
nanSuite(open);
logitsSuite(open, { quantity: 'logits', on: 'wasm', command: 'npm test -- engine/wasm' });

it('a filter gradient whose patches do not fit at once is the sum of its images’', async () => {
  const engine = await open();
  const gradient = async (x: tf.Tensor, dy: tf.Tensor) =>
    run('Conv2DBackpropFilter', { x, dy }, { strides: [1, 1], pad: 1, filterShape: [3, 3, 3, 2] }).data();
  const x = tf.randomUniform([5, 300, 300, 3], -1, 1, 'float32', 1);
  const dy = tf.randomUniform([5, 300, 300, 2], -1, 1, 'float32', 2);
  const whole = await gradient(x, dy);
  const sum = new Float64Array(whole.length);
  for (let i = 0; i < 5; i++) {
    const one = await gradient(tf.slice(x, [i, 0, 0, 0], [1, -1, -1, -1]), tf.slice(dy, [i, 0, 0, 0], [1, -1, -1, -1]));
    one.forEach((value, at) => (sum[at] = sum[at]! + value));
  }
  expect(Math.max(...sum.map(Math.abs))).toBeGreaterThan(100);
  expect(distance(whole, sum)).toBeLessThan(0.01);
  await engine.dispose();
});
