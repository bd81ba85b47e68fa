import type { Tensor, Weights } from '../graph/types.ts';

/** The parameter `features.0.conv.weight`; a graph whose weights lack one is a mistake of ours. */
export function weightsOf(weights: Weights, name: string): Tensor {
  const tensor = weights.get(name);
  if (!tensor) throw new Error(`There are no weights named ${name}`);
  return tensor;
}
