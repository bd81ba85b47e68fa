import type { Graph } from '../types.ts';
import { without } from './rewire.ts';

/** Dropout does nothing in eval mode: takes it out. */
export function dropDropout(graph: Graph): Graph {
  return without(graph, (node) => node.op === 'dropout');
}
