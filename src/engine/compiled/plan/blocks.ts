import type { Graph, GraphNode } from '../../../graph/types.ts';
import { sizeOf } from '../../../graph/parameters.ts';
import type { NodeShape } from '../../../graph/shapes.ts';
import { matrix, type Element, type View } from '../memory.ts';

/**
 * Concatenations in place: a chain of them (a dense block) is one matrix, into which the layers write their channels; a shorter
 * concatenation is its first channels. What can't be written there (a value that two concatenations want, or one that is nowhere in
 * memory) is copied.
 */
export interface Blocks {
  /** Where a node's raw value lies, if in a block. */
  readonly placeOf: ReadonlyMap<string, View>;
}

/**
 * `elementOf`: what a matrix of so many rows is of.
 * @throws Error where a concatenation's parts are no multiples of 4 channels.
 */
export function blocksOf(
  graph: Graph,
  shapes: ReadonlyMap<string, NodeShape>,
  images: number,
  elementOf: (rows: number) => Element,
): Blocks {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const placeOf = new Map<string, View>();
  const channelsOf = (name: string): number => shapes.get(name)!.at(-1)!;

  const place = (node: GraphNode, within: View): void => {
    placeOf.set(node.name, within);
    let first = within.first;
    for (const name of node.inputs) {
      const channels = channelsOf(name);
      if (channels % 4 !== 0) throw new Error(`${node.name}: ${name} has ${channels} channels, no multiple of 4.`);
      const part: View = { matrix: within.matrix, first, channels };
      const input = nodes.get(name)!;
      if (!placeOf.has(name)) {
        if (input.op === 'concat') place(input, part);
        else if (isWritten(input)) placeOf.set(name, part);
      }
      first += channels;
    }
  };

  for (const node of graph.nodes.toReversed()) {
    if (node.op !== 'concat' || placeOf.has(node.name)) continue;
    const shape = shapes.get(node.name)!;
    const rows = (images * sizeOf(shape)) / channelsOf(node.name);
    const block = matrix(node.name, rows, channelsOf(node.name), elementOf(rows));
    place(node, { matrix: block, first: 0, channels: block.channels });
  }
  return { placeOf };
}

/** Whether its raw value is written by a kernel, to wherever it is told to. */
function isWritten({ op }: GraphNode): boolean {
  return op === 'conv2d' || op === 'maxPool2d' || op === 'avgPool2d' || op === 'add';
}
