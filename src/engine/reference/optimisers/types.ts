import type * as tf from '@tensorflow/tfjs';

/**
 * An optimiser of torch.optim (1.13, single tensor), written three times: for the processor, in WGSL for the compiled engine, and in
 * tfjs's ops for backends whose memory is not at hand. What it keeps of a parameter (`optimiserSlots`) begins as zeros.
 */
export interface Optimiser {
  readonly slots: readonly string[];
  readonly wgsl: {
    /** Names the program. */
    readonly name: string;
    /** Fields of `u`. */
    readonly floats: readonly string[];
    /** Sees `slope`, the gradient at `index`, and the buffers `value` and those named by `slots`: four numbers at an index. */
    readonly body: string;
  };
  /** One update of all parameters; `step` counts from 1. */
  at(learningRate: number, step: number): Update;
}

export interface Update {
  /** Of `wgsl.floats`, in their order. */
  readonly floats: readonly number[];
  /** In place. `scale`: what clipping leaves of the gradient. */
  onProcessor(value: Float32Array, gradient: Float32Array, state: readonly Float32Array[], scale: number): void;
  /** Value and state after it, in new tensors; frees nothing. */
  withOps(
    value: tf.Tensor,
    gradient: tf.Tensor,
    state: readonly tf.Tensor[],
  ): [value: tf.Tensor, ...state: tf.Tensor[]];
}
