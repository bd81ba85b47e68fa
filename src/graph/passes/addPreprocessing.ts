import type { Graph, GraphNode } from '../types.ts';
import { withInputs } from './rewire.ts';

/**
 * Makes the graph take RGB values 0–255 in place of normalised ones: a `preprocessing` node computes
 * `(x/255 − mean)/std` as one multiplication and one addition a channel. `mean` and `std` are of the range 0–1.
 */
export function addPreprocessing(graph: Graph, mean: readonly number[], std: readonly number[]): Graph {
  const [input, ...rest] = graph.nodes;
  if (input?.op !== 'input' || mean.length !== input.channels || std.length !== input.channels) {
    throw new Error(`Preprocessing needs a mean and a standard deviation for each of the input's channels.`);
  }
  const preprocessing: GraphNode = {
    op: 'channelAffine',
    name: 'preprocessing',
    inputs: [input.name],
    scale: std.map((deviation) => 1 / (255 * deviation)),
    shift: std.map((deviation, channel) => -(mean[channel] as number) / deviation),
  };
  const replaced = new Map([[input.name, preprocessing.name]]);
  return { ...graph, nodes: [input, preprocessing, ...rest.map((node) => withInputs(node, replaced))] };
}
