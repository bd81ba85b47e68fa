import type { Graph, Tensor, Weights } from '../types.ts';

/**
 * The weights of a training graph with its last layer, a linear one, made smaller by `temperature`: the logits come out divided by it, at
 * no cost and in every format alike. Guo et al., On Calibration of Modern Neural Networks, 2017.
 */
export function divideLogits(graph: Graph, weights: Weights, temperature: number): Weights {
  if (!(temperature > 0) || !Number.isFinite(temperature)) throw new RangeError(`A temperature of ${temperature}`);
  const last = graph.nodes.at(-1);
  if (last?.op !== 'linear') throw new Error('Logits come out of a linear layer.');
  if (temperature === 1) return weights;
  const divided = new Map(weights);
  for (const kind of ['weight', 'bias']) {
    const name = `${last.name}.${kind}`;
    const tensor = weights.get(name) as Tensor | undefined;
    if (tensor) divided.set(name, { shape: tensor.shape, data: tensor.data.map((value) => value / temperature) });
  }
  return divided;
}
