import * as tf from '@tensorflow/tfjs';
import { backwardOf } from './ops/backward.ts';
import type { BackwardResult, NodeParameters } from './ops/types.ts';
import type { ForwardPass, Plan } from './pass.ts';

/** Gradients by parameter name, in the engine's layouts. */
export type Gradients = Map<string, tf.Tensor>;

/**
 * Walks the tape backwards from `dy`, the gradient of the output (which it frees). Frees each saved activation as soon as its
 * step has run. The caller owns the gradients returned.
 */
export async function backward(
  plan: Plan,
  pass: ForwardPass,
  dy: tf.Tensor,
  parameters: (node: string) => NodeParameters,
  onNode: () => Promise<void>,
): Promise<Gradients> {
  const { nodes } = plan.graph;
  const pending = new Map<string, tf.Tensor>([[nodes[nodes.length - 1]!.name, dy]]);
  const gradients: Gradients = new Map();
  try {
    for (const { node, saved, inputShapes } of pass.tape.toReversed()) {
      const gradient = pending.get(node.name);
      if (!gradient) throw new Error(`No gradient reaches ${node.name}.`);
      const step = backwardOf(node);
      if (!step) throw new Error(`${node.op} (${node.name}) has no backward step: it belongs to export graphs.`);
      const wanted = node.inputs.map((name) => plan.differentiated.has(name));
      const result = tf.tidy(
        () => step({ node, dy: gradient, saved, inputShapes, parameters: parameters(node.name), wanted }) as never,
      ) as BackwardResult;
      if (result.weight) gradients.set(`${node.name}.weight`, result.weight);
      if (result.bias) gradients.set(`${node.name}.bias`, result.bias);
      node.inputs.forEach((name, i) => {
        const part = result.inputs[i];
        if (!part) return;
        const sofar = pending.get(name);
        if (!sofar) return void pending.set(name, part);
        pending.set(name, tf.add(sofar, part));
        sofar.dispose();
        part.dispose();
      });
      await onNode();
      pending.delete(node.name);
      gradient.dispose();
      for (const tensor of saved) pass.ledger.release(tensor);
    }
  } catch (error) {
    for (const tensor of [...pending.values(), ...gradients.values()]) tensor.dispose();
    throw error;
  }
  return gradients;
}
