import { addPreprocessing, addSoftmax, divideLogits, dropDropout, foldBatchNorms } from '../graph/passes/index.ts';
import type { Graph, Weights } from '../graph/types.ts';
import type { ExportInput } from './types.ts';

/**
 * What a runnable format writes: RGB 0–255 in, probabilities out; preprocessing and softmax inside, batch norms folded into the
 * convolutions that they alone read, logits divided by the temperature.
 */
export function exportGraph({ graph, weights, temperature, mean, std }: ExportInput): {
  graph: Graph;
  weights: Weights;
} {
  const folded = foldBatchNorms(dropDropout(graph), divideLogits(graph, weights, temperature));
  return { graph: addSoftmax(addPreprocessing(folded.graph, mean, std)), weights: folded.weights };
}
