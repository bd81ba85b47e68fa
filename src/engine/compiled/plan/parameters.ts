import { isDepthwise } from '../../../graph/convolution.ts';
import { parametersOfNode } from '../../../graph/parameters.ts';
import type { Graph, ParameterSpec, Weights } from '../../../graph/types.ts';
import { kept, padded, type Memory, type Range } from '../memory.ts';

/** Floats to which each parameter's place is aligned: a cache line. */
const ALIGNMENT = 32;

/** Where a parameter lies in the flat memory of its kind, and how its padded layout comes of torch's. */
export interface FlatParameter {
  readonly spec: ParameterSpec;
  readonly kind: 'trained' | 'frozen' | 'running';
  /** First float. */
  readonly offset: number;
  /** For each float of the place, its index in torch's layout, or −1 where it is padding. */
  readonly torchIndex: Int32Array;
}

/**
 * The trained parameters in one flat memory, the others in a second one, running statistics in a third; gradients and what an optimiser
 * keeps lie as the trained ones do.
 * Layouts: convolution `[kH, kW, in, out]`, depthwise `[kH, kW, channels]`, linear `[in, out]`, vectors; channels padded to fours with 0.
 */
export interface FlatLayout {
  readonly trained: Memory;
  readonly frozen: Memory;
  readonly running: Memory;
  /** What running statistics become if the step counts. */
  readonly pending: Memory;
  readonly gradients: Memory;
  /** In the order of the graph. */
  readonly all: readonly FlatParameter[];
  rangeOf(name: string): Range;
  /** The place of a trained parameter among the gradients. */
  gradientOf(name: string): Range;
  find(name: string): FlatParameter;
}

export function flatLayout(graph: Graph, trainable: 'all' | 'head'): FlatLayout {
  const byName = new Map<string, FlatParameter>();
  const ends = { trained: 0, frozen: 0, running: 0 };
  const all: FlatParameter[] = [];
  for (const node of graph.nodes) {
    for (const spec of parametersOfNode(node)) {
      const kind = !spec.trainable ? 'running' : trainable === 'all' || node.name === graph.head ? 'trained' : 'frozen';
      const torchIndex = torchIndices(spec, node.op === 'conv2d' && isDepthwise(node));
      const parameter = { spec, kind, offset: ends[kind], torchIndex } as const;
      byName.set(spec.name, parameter);
      all.push(parameter);
      ends[kind] += Math.ceil(torchIndex.length / ALIGNMENT) * ALIGNMENT;
    }
  }
  const memories = {
    trained: kept('trained parameters', Math.max(ALIGNMENT, ends.trained)),
    frozen: kept('frozen parameters', Math.max(ALIGNMENT, ends.frozen)),
    running: kept('running statistics', Math.max(ALIGNMENT, ends.running)),
  };
  const gradients = kept('gradients', memories.trained.floats);
  const find = (name: string): FlatParameter => {
    const parameter = byName.get(name);
    if (!parameter) throw new Error(`${name} is no parameter of ${graph.architecture}.`);
    return parameter;
  };
  return {
    ...memories,
    pending: kept('running statistics to come', memories.running.floats),
    gradients,
    all,
    rangeOf(name) {
      const { kind, offset } = find(name);
      return { memory: memories[kind], offset };
    },
    gradientOf(name) {
      const { kind, offset } = find(name);
      if (kind !== 'trained') throw new Error(`${name} is not trained.`);
      return { memory: gradients, offset };
    },
    find,
  };
}

function torchIndices({ shape, name }: ParameterSpec, depthwise: boolean): Int32Array {
  const [out = 1, inner = 1, height = 1, width = 1] = shape;
  const taps = height * width;
  // Vectors and depthwise filters have one row a tap; input channels are padded.
  if (shape.length === 1) return indices(1, 1, 1, out, (_tap, _in, o) => o);
  if (shape.length === 2) return indices(1, inner, padded(inner), out, (_tap, i, o) => o * inner + i);
  if (shape.length !== 4) throw new Error(`${name} has ${shape.length} dimensions.`);
  if (depthwise) return indices(taps, 1, 1, out, (tap, _in, o) => o * taps + tap);
  return indices(taps, inner, padded(inner), out, (tap, i, o) => (o * inner + i) * taps + tap);
}

function indices(
  taps: number,
  inner: number,
  rows: number,
  out: number,
  torch: (tap: number, inner: number, out: number) => number,
): Int32Array {
  const columns = padded(out);
  const result = new Int32Array(taps * rows * columns).fill(-1);
  for (let tap = 0; tap < taps; tap++) {
    for (let i = 0; i < inner; i++) {
      for (let o = 0; o < out; o++) result[(tap * rows + i) * columns + o] = torch(tap, i, o);
    }
  }
  return result;
}

/** Copies torch's layout into its place of a flat memory. */
export function toFlat(flat: Float32Array, { offset, torchIndex }: FlatParameter, data: Float32Array): void {
  for (let i = 0; i < torchIndex.length; i++) {
    const from = torchIndex[i]!;
    flat[offset + i] = from < 0 ? 0 : data[from]!;
  }
}

/** The other way; a copy. */
export function toTorch(flat: Float32Array, { spec, offset, torchIndex }: FlatParameter): Float32Array {
  const data = new Float32Array(spec.shape.reduce((product, extent) => product * extent, 1));
  for (let i = 0; i < torchIndex.length; i++) {
    const to = torchIndex[i]!;
    if (to >= 0) data[to] = flat[offset + i]!;
  }
  return data;
}

/** @throws Error where it is missing or has another shape. */
export function torchData(weights: Weights, name: string, { shape }: ParameterSpec): Float32Array {
  const tensor = weights.get(name);
  if (!tensor) throw new Error(`The weights lack ${name}.`);
  if (tensor.shape.join() !== shape.join()) {
    throw new Error(`${name} has shape [${tensor.shape.join()}], the network expects [${shape.join()}].`);
  }
  return tensor.data;
}
