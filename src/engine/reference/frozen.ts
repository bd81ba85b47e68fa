import * as tf from '@tensorflow/tfjs';
import type { Graph, Weights } from '../../graph/types.ts';
import type { ImageBatch } from '../types.ts';
import { fused } from './fuse.ts';
import type { Host } from './host.ts';
import { fusedForwardOf } from './ops/fused.ts';
import { checkWeights, uploadParameters } from './parameters.ts';
import { forward, inEvalMode, planOf } from './pass.ts';
import { createTurns, type Turns } from './turns.ts';

/** A graph of which nothing is trained, with its weights folded (`fused`) on the device. */
export interface Frozen {
  /** The last node's output in eval mode, the caller's to free. Within `inTurn`; frees `x`. */
  output(x: tf.Tensor): Promise<tf.Tensor>;
  dispose(): void;
}

/** @throws Error that names the first parameter which is missing or has another shape. */
export function createFrozen(
  host: Host,
  graph: Graph,
  weights: Weights,
  { afterNode }: Pick<Turns, 'afterNode'>,
): Frozen {
  checkWeights(graph, weights);
  const lean = fused(graph, weights);
  // Fused kernels make a number of NaN: what is wrong has to be seen.
  const sound = [...lean.weights.values()].every(({ data }) => allFinite(data));
  host.enter();
  const parameters = sound
    ? uploadParameters(lean.graph, lean.weights, () => false)
    : uploadParameters(graph, weights, () => false);
  const plan = sound ? planOf(lean.graph, new Set(), fusedForwardOf) : planOf(graph, new Set());
  return {
    async output(x) {
      host.enter();
      const pass = await forward(plan, x, { ...inEvalMode, parameters: parameters.ofNode, onNode: afterNode });
      try {
        return tf.clone(pass.output);
      } finally {
        pass.ledger.disposeAll();
      }
    },
    dispose: () => parameters.dispose(),
  };
}

/** Logits of a network that does nothing but answer. Throws as `createFrozen`. */
export function createAnswering(host: Host, graph: Graph, weights: Weights) {
  const turns = createTurns(host);
  const frozen = createFrozen(host, graph, weights, turns);
  return {
    /** `[n, classes]`, eval mode. */
    predict: (batch: ImageBatch): Promise<Float32Array> =>
      turns.inTurn(async () => {
        const logits = await frozen.output(uploaded(host, graph, batch));
        try {
          return (await logits.data()) as Float32Array;
        } finally {
          logits.dispose();
        }
      }),
    dispose: () => turns.dispose(frozen.dispose),
  };
}

/** `[n, size, size, C]` on the device. */
export function uploaded(host: Host, { nodes: [first] }: Graph, { images, n, size }: ImageBatch): tf.Tensor {
  const channels = first?.op === 'input' ? first.channels : 3;
  if (images.length !== n * size * size * channels) {
    throw new Error(`${images.length} numbers are no batch [${n},${size},${size},${channels}].`);
  }
  host.enter();
  return tf.tensor4d(images, [n, size, size, channels]);
}

function allFinite(data: Float32Array): boolean {
  let sum = 0;
  for (const value of data) sum += 0 * value;
  return sum === 0;
}
