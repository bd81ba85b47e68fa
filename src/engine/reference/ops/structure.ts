import * as tf from '@tensorflow/tfjs';
import type { AddNode, ConcatNode, FlattenNode, MulNode } from '../../../graph/types.ts';
import { hasKernel, run, runMany } from './kernel.ts';
import type { Backward, Forward } from './types.ts';

/** Fused kernels that a backend may bring: any inputs → one; `{dy}` and attribute `parts` `[begin, size][]` → one output a part. */
export const CHANNEL_CONCAT = 'PacerChannelConcat';
export const CHANNEL_SPLIT = 'PacerChannelSplit';

/** `[N,1,1,C] → [N,C]`. */
export const flatten: Forward<FlattenNode> = ({ inputs }) => {
  const x = inputs[0]!;
  return { output: tf.reshape(x, [x.shape[0]!, -1]), saved: [] };
};

export const flattenBackward: Backward<FlattenNode> = ({ dy, inputShapes }) => ({
  inputs: [tf.reshape(dy, [...inputShapes[0]!])],
});

export const add: Forward<AddNode> = ({ inputs }) => ({ output: tf.add(inputs[0]!, inputs[1]!), saved: [] });

export const addBackward: Backward<AddNode> = ({ dy, wanted }) => ({
  inputs: wanted.map((yes) => (yes ? tf.clone(dy) : null)),
});

/** Squeeze and excitation: `[N,H,W,C] · [N,1,1,C]`. */
export const mul: Forward<MulNode> = ({ inputs }) => ({
  output: tf.mul(inputs[0]!, inputs[1]!),
  saved: [inputs[0]!, inputs[1]!],
});

export const mulBackward: Backward<MulNode> = ({ dy, saved, wanted }) => {
  const [x, factor] = saved as [tf.Tensor, tf.Tensor];
  return {
    inputs: [wanted[0] ? tf.mul(dy, factor) : null, wanted[1] ? tf.sum(tf.mul(dy, x), [1, 2], true) : null],
  };
};

/** Along channels; backward by slices. */
export const concat: Forward<ConcatNode> = ({ inputs }) => {
  if (inputs.length === 1) return { output: tf.clone(inputs[0]!), saved: [] };
  if (hasKernel(CHANNEL_CONCAT)) return { output: run(CHANNEL_CONCAT, { ...inputs } as never), saved: [] };
  return { output: tf.concat([...inputs], -1), saved: [] };
};

export const concatBackward: Backward<ConcatNode> = ({ dy, inputShapes, wanted }) => {
  let total = 0;
  const parts = inputShapes.map((shape) => {
    const begin = total;
    total += shape[3]!;
    return [begin, shape[3]!] as const;
  });
  const chosen = parts.filter((_, i) => wanted[i]);
  const slices = hasKernel(CHANNEL_SPLIT)
    ? runMany(CHANNEL_SPLIT, { dy }, { parts: chosen })
    : chosen.map(([begin, size]) => tf.slice(dy, [0, 0, 0, begin], [-1, -1, -1, size]));
  return { inputs: wanted.map((yes) => (yes ? slices.shift()! : null)) };
};
