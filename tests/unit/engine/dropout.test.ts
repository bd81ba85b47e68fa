import * as tf from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { dropout, dropoutBackward } from '../../../src/engine/reference/ops/dense.ts';
import type { DropoutNode } from '../../../src/graph/types.ts';
import { random } from '../../../src/random.ts';
import { openInNode } from '../support/openInNode.ts';

const node: DropoutNode = { op: 'dropout', name: 'dropout', inputs: ['x'], p: 0.2 };
const pass = (x: tf.Tensor, uniform: () => number, training = true) =>
  dropout({ node, inputs: [x], parameters: {}, training, uniform });

it('drops a share of p, scales the rest by 1 / (1 − p), forward and backward, as torch.nn.Dropout; eval mode leaves all', async () => {
  const engine = await openInNode('wasm');
  // By hand: 0.1 and 0.19 are below p = 0.2; 1 / 0.8 = 1.25.
  const draws = [0.1, 0.2, 0.5, 0.19, 0.99, 0.7];
  const x = tf.tensor([1, 2, 3, 4, 5, 6], [2, 3]);
  const { output, saved } = pass(x, () => draws.shift()!);
  expect([...(await output.data())]).toEqual([0, 2.5, 3.75, 0, 6.25, 7.5]);
  const dy = tf.tensor([1, 1, 2, 2, -1, -2], [2, 3]);
  const backward = dropoutBackward({ node, dy, saved, parameters: {}, inputShapes: [[2, 3]], wanted: [true] });
  expect([...(await backward.inputs[0]!.data())]).toEqual([0, 1.25, 2.5, 0, -1.25, -2.5]);
  expect([...(await pass(x, () => 0, false).output.data())]).toEqual([1, 2, 3, 4, 5, 6]);

  // Of 100,000, 20,000 ± 4 standard deviations of a binomial, √(100,000 · 0.2 · 0.8) = 126.
  const many = await pass(tf.ones([100, 1000]), random(1, 2, 3).uniform).output.data();
  expect(Math.abs(many.filter((value) => value === 0).length - 20_000)).toBeLessThan(4 * 126);
  await engine.dispose();
});
