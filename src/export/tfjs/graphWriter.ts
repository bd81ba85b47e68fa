import { consumersOf } from '../../graph/flow.ts';
import { inferShapes } from '../../graph/shapes.ts';
import type { Graph, Tensor, Weights } from '../../graph/types.ts';
import { weightsOf } from '../parameter.ts';
import type { Precision, WeightStorage } from '../types.ts';
import { tensor, type, type NodeDef } from './graphDef.ts';
import { weightFiles, type WeightFiles } from './weightFiles.ts';

/** What the writing of one node may use. Names of TensorFlow's nodes are ours: torchvision's paths. */
export interface GraphWriter {
  /** Name of the TensorFlow node that holds a graph node's output. */
  readonly valueOf: (node: string) => string;
  /** Whether a graph node's output is there already: what stands before it took it along. */
  isWritten(node: string): boolean;
  bind(node: string, name: string): void;
  /** Of a graph node's output. */
  channelsOf(node: string): number;
  parameter(node: string, kind: 'weight' | 'bias' | 'running_mean' | 'running_var'): Tensor;
  /** The ReLU that alone reads a graph node, null where there is none. */
  reluAfter(node: string): string | null;
  /** Name of a constant; the same name is the same constant. */
  floats(name: string, shape: readonly number[], values: Float32Array): string;
  integers(name: string, shape: readonly number[], values: readonly number[]): string;
  /** A filter or matrix in the storage that was asked for; `scales` holds what its product is multiplied by a channel, where it lies in 8 bits. */
  filter(
    name: string,
    shape: readonly number[],
    values: Float32Array,
    channels: number,
  ): { readonly filter: string; readonly scales: string | null };
  /** An operation; its name is also that of the graph node whose output it is, if there is one. */
  emit(op: string, name: string, inputs: readonly string[], attributes: NodeDef['attr']): void;
}

export interface WrittenGraph {
  readonly nodes: readonly NodeDef[];
  readonly weights: ReturnType<WeightFiles['finish']>;
}

export function graphWriter(options: {
  readonly graph: Graph;
  readonly weights: Weights;
  readonly imageSize: number;
  readonly precision: Precision;
  readonly weightStorage: WeightStorage;
}): GraphWriter & { finish(): WrittenGraph } {
  const { graph, weights, precision } = options;
  const eightBit = options.weightStorage === 'linear';
  const shapes = inferShapes(graph, options.imageSize);
  const consumers = consumersOf(graph);
  const nodes: NodeDef[] = [];
  const constants = new Set<string>();
  const values = new Map<string, string>();
  const files = weightFiles();

  const constant = (name: string, shape: readonly number[], stored: Parameters<WeightFiles['add']>[2]): string => {
    if (constants.has(name)) return name;
    const dtype = stored.as === 'int32' ? 'DT_INT32' : 'DT_FLOAT';
    nodes.push({ name, op: 'Const', attr: { dtype: type(dtype), value: tensor(dtype, shape) } });
    files.add(name, shape, stored);
    constants.add(name);
    return name;
  };

  return {
    valueOf(node) {
      const value = values.get(node);
      if (value === undefined) throw new Error(`${node} has no value yet`);
      return value;
    },
    isWritten: (node) => values.has(node),
    bind: (node, name) => void values.set(node, name),
    channelsOf: (node) => shapes.get(node)?.at(-1) as number,
    parameter: (node, kind) => weightsOf(weights, `${node}.${kind}`),
    reluAfter(node) {
      if (consumers.get(node) !== 1) return null;
      const reader = graph.nodes.find(({ inputs }) => inputs.includes(node));
      return reader?.op === 'activation' && reader.kind === 'relu' ? reader.name : null;
    },
    floats: (name, shape, data) => constant(name, shape, { as: 'float32', values: data }),
    integers: (name, shape, data) => constant(name, shape, { as: 'int32', values: Int32Array.from(data) }),
    filter(name, shape, data, channels) {
      if (!eightBit) return { filter: constant(name, shape, { as: precision, values: data }), scales: null };
      const { steps, scales } = quantized(data, channels);
      return {
        filter: constant(name, shape, { as: 'int8', values: steps }),
        scales: constant(`${name}_scale`, [channels], { as: 'float32', values: scales }),
      };
    },
    emit(op, name, input, attr) {
      nodes.push({ name, op, input, attr });
      values.set(name, name);
    },
    finish: () => ({ nodes, weights: files.finish() }),
  };
}

/**
 * Each channel's largest weight is 127 steps of its scale; 0 stays 0. TensorFlow.js knows a scale for a whole tensor alone, which would cost
 * filters with small weights all they have: so the scales stand in the graph. `data`: the channel is the last axis.
 */
function quantized(data: Float32Array, channels: number): { steps: Int8Array; scales: Float32Array } {
  const scales = new Float32Array(channels);
  for (let from = 0; from < data.length; from += channels) {
    for (let c = 0; c < channels; c++) {
      scales[c] = Math.max(scales[c] as number, Math.abs(data[from + c] as number) / 127);
    }
  }
  const steps = new Int8Array(data.length);
  for (let from = 0; from < data.length; from += channels) {
    for (let c = 0; c < channels; c++) {
      const scale = scales[c] as number;
      // The scale was rounded to float32: the largest weight may be a little more than 127 steps of it.
      const step = scale === 0 ? 0 : Math.round((data[from + c] as number) / scale);
      steps[from + c] = Math.max(-127, Math.min(127, step));
    }
  }
  return { steps, scales };
}
