import type { Graph } from '../../../graph/types.ts';
import { fillWords, STREAMS } from '../../../random.ts';
import type { Plan } from '../plan/compile.ts';
import type { Buffers } from './buffers.ts';

/** Draws the masks of a plan's dropouts: `update` and `part` say which of the seed's numbers. */
export type DrawMasks = (plan: Plan, update: number, part: number) => void;

/** Room for the numbers and the values of one mask; nothing is made in a step. */
interface Room {
  readonly words: Uint32Array;
  readonly values: Float32Array<ArrayBuffer>;
}

export function createMasks(device: GPUDevice, buffers: Buffers, graph: Graph, seed: number): DrawMasks {
  const nodeIndex = new Map(graph.nodes.map((node, index) => [node.name, index]));
  const rooms = new WeakMap<Plan, readonly Room[]>();
  const roomOf = (plan: Plan): readonly Room[] => {
    let room = rooms.get(plan);
    if (!room) {
      room = plan.masks.map(({ matrix, channels }) => ({
        words: new Uint32Array(plan.images * channels),
        values: new Float32Array(matrix.floats),
      }));
      rooms.set(plan, room);
    }
    return room;
  };
  return (plan, update, part) => {
    for (const [i, { words, values }] of roomOf(plan).entries()) {
      const { node, matrix, channels } = plan.masks[i]!;
      fillWords(words, seed, [STREAMS.dropout, update, part * 4096 + nodeIndex.get(node.name)!]);
      const factor = 1 / (1 - node.p);
      const dropped = node.p * 0x100000000;
      // Padding draws nothing: the reference runtime has none.
      let next = 0;
      for (let row = 0; row < plan.images; row++) {
        const at = row * matrix.channels;
        for (let c = 0; c < channels; c++) values[at + c] = words[next++]! < dropped ? 0 : factor;
      }
      device.queue.writeBuffer(buffers.keptPlace(matrix).buffer, 0, values);
    }
  };
}
