import * as tf from '@tensorflow/tfjs';
import type { AddNode, ConcatNode, FlattenNode, MulNode } from '../../../graph/types.ts';
import type { Op } from './types.ts';

/** `[N,1,1,C] → [N,C]`. */
export const flatten: Op<FlattenNode> = {
  forward({ inputs }) {
    const x = inputs[0]!;
    return { output: tf.reshape(x, [x.shape[0]!, -1]), saved: [] };
  },
  backward: ({ dy, inputShapes }) => ({ inputs: [tf.reshape(dy, [...inputShapes[0]!])] }),
};

export const add: Op<AddNode> = {
  forward: ({ inputs }) => ({ output: tf.add(inputs[0]!, inputs[1]!), saved: [] }),
  backward: ({ dy, wanted }) => ({ inputs: wanted.map((yes) => (yes ? tf.clone(dy) : null)) }),
};

/** Squeeze and excitation: `[N,H,W,C] · [N,1,1,C]`. */
export const mul: Op<MulNode> = {
  forward: ({ inputs }) => ({ output: tf.mul(inputs[0]!, inputs[1]!), saved: [inputs[0]!, inputs[1]!] }),
  backward({ dy, saved, wanted }) {
    const [x, factor] = saved as [tf.Tensor, tf.Tensor];
    return {
      inputs: [wanted[0] ? tf.mul(dy, factor) : null, wanted[1] ? tf.sum(tf.mul(dy, x), [1, 2], true) : null],
    };
  },
};

/** Along channels; backward by slices. */
export const concat: Op<ConcatNode> = {
  forward({ inputs }) {
    const output = inputs.length === 1 ? tf.clone(inputs[0]!) : tf.concat([...inputs], -1);
    return { output, saved: [] };
  },
  backward({ dy, inputShapes, wanted }) {
    let begin = 0;
    return {
      inputs: inputShapes.map((shape, i) => {
        const start = begin;
        begin += shape[3]!;
        return wanted[i] ? tf.slice(dy, [0, 0, 0, start], [...shape]) : null;
      }),
    };
  },
};
