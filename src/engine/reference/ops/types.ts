import type { Tensor } from '@tensorflow/tfjs';
import type { GraphNode } from '../../../graph/types.ts';

/** A node's parameters on the device, in the engine's layouts (layouts.ts). */
export interface NodeParameters {
  readonly weight?: Tensor;
  readonly bias?: Tensor;
  readonly running_mean?: Tensor;
  readonly running_var?: Tensor;
}

export interface ForwardArguments<N extends GraphNode> {
  readonly node: N;
  /** Activations `[N,H,W,C] float32`, or `[N,C]` once flat. */
  readonly inputs: readonly Tensor[];
  readonly parameters: NodeParameters;
  /** Train mode: batch norm uses the batch's statistics, dropout drops. */
  readonly training: boolean;
  /** Uniform numbers in [0,1) for dropout, from our own seeded stream. */
  readonly uniform: () => number;
}

export interface ForwardResult {
  /** A tensor of its own, never one of the inputs. */
  readonly output: Tensor;
  /** What the backward step reads; may be inputs or the output. */
  readonly saved: readonly Tensor[];
  /** Batch norm in train mode: `[2,C]`, mean and biased variance over `count` values a channel. */
  readonly statistics?: { readonly moments: Tensor; readonly count: number };
}

export interface BackwardArguments<N extends GraphNode> {
  readonly node: N;
  /** Gradient of the output. */
  readonly dy: Tensor;
  readonly saved: readonly Tensor[];
  readonly parameters: NodeParameters;
  readonly inputShapes: readonly (readonly number[])[];
  /** Which inputs' gradients are wanted. */
  readonly wanted: readonly boolean[];
}

export interface BackwardResult {
  /** One an input, tensors of their own; null where it isn't wanted. */
  readonly inputs: readonly (Tensor | null)[];
  readonly weight?: Tensor;
  readonly bias?: Tensor;
}

/** Both run inside `tf.tidy`: what they don't return is freed. Ops of export graphs have no backward step. */
export type Forward<N extends GraphNode> = (args: ForwardArguments<N>) => ForwardResult;
export type Backward<N extends GraphNode> = (args: BackwardArguments<N>) => BackwardResult;
