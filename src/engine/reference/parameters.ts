import * as tf from '@tensorflow/tfjs';
import { isDepthwise } from '../../graph/convolution.ts';
import { parametersOf, parametersOfNode } from '../../graph/parameters.ts';
import type { Graph, ParameterSpec, Tensor, Weights } from '../../graph/types.ts';
import { layoutOf, type Layout } from './layouts.ts';
import type { NodeParameters } from './ops/types.ts';

/** A parameter or running statistic on the device. Tensors are replaced or written in place by updates. */
export interface DeviceParameter {
  readonly spec: ParameterSpec;
  readonly layout: Layout;
  value: tf.Tensor;
  /** What the optimiser keeps of it, slot by slot; null where the parameter isn't trained. */
  state: tf.Tensor[] | null;
}

export interface DeviceParameters {
  readonly all: ReadonlyMap<string, DeviceParameter>;
  ofNode(node: string): NodeParameters;
  read(): Promise<Weights>;
  write(weights: Weights): void;
  dispose(): void;
}

/**
 * Uploads `weights` (torch's layouts).
 * @throws Error that names the first parameter which is missing or has another shape.
 */
export function uploadParameters(
  graph: Graph,
  weights: Weights,
  trainable: (spec: ParameterSpec) => boolean,
): DeviceParameters {
  const all = new Map<string, DeviceParameter>();
  const byNode = new Map<string, Partial<Record<ParameterSpec['kind'], DeviceParameter>>>();
  try {
    for (const node of graph.nodes) {
      const own: Partial<Record<ParameterSpec['kind'], DeviceParameter>> = {};
      for (const spec of parametersOfNode(node)) {
        const layout = layoutOf(spec, node.op === 'conv2d' && isDepthwise(node));
        const shape = [...layout.engineShape];
        const parameter: DeviceParameter = {
          spec,
          layout,
          value: tf.tensor(layout.toEngine(dataOf(weights, spec.name, spec)), shape),
          state: trainable(spec) ? [] : null,
        };
        own[spec.kind] = parameter;
        all.set(spec.name, parameter);
      }
      byNode.set(node.name, own);
    }
  } catch (error) {
    // Half a network would stay on the device.
    disposeAll(all);
    throw error;
  }

  return {
    all,
    ofNode(node) {
      const own = byNode.get(node)!;
      const result: { -readonly [K in keyof NodeParameters]: NodeParameters[K] } = {};
      for (const kind of Object.keys(own) as ParameterSpec['kind'][]) result[kind] = own[kind]!.value;
      return result;
    },
    async read() {
      const entries = [...all.values()].map(async (p) => [p.spec.name, await downloaded(p, p.value)] as const);
      return new Map(await Promise.all(entries));
    },
    write(next) {
      for (const p of all.values()) dataOf(next, p.spec.name, p.spec);
      for (const p of all.values()) p.value = replaced(p.value, p, dataOf(next, p.spec.name, p.spec));
    },
    dispose: () => disposeAll(all),
  };
}

function disposeAll(parameters: Map<string, DeviceParameter>): void {
  for (const { value, state } of parameters.values()) tf.dispose([value, ...(state ?? [])]);
  parameters.clear();
}

/** A tensor of a parameter's shape in the place of `old`, which is freed. `data`: torch's layout. */
export function replaced(old: tf.Tensor, { layout }: DeviceParameter, data: Float32Array): tf.Tensor {
  const fresh = tf.tensor(layout.toEngine(data), [...layout.engineShape]);
  old.dispose();
  return fresh;
}

/** A copy of a tensor of a parameter's shape, in torch's layout. */
export async function downloaded({ spec, layout }: DeviceParameter, tensor: tf.Tensor): Promise<Tensor> {
  return { shape: spec.shape, data: layout.toTorch((await tensor.data()) as Float32Array) };
}

/** Throws where something of the graph is missing or has another shape. */
export function checkWeights(graph: Graph, weights: Weights): void {
  for (const spec of parametersOf(graph)) dataOf(weights, spec.name, spec);
}

/** Throws where it is missing or has another shape. */
export function dataOf(weights: Weights, name: string, spec: ParameterSpec): Float32Array {
  const tensor = weights.get(name);
  if (!tensor) throw new Error(`The weights lack ${name}.`);
  if (tensor.shape.join() !== spec.shape.join()) {
    throw new Error(`${name} has shape [${tensor.shape.join()}], the network expects [${spec.shape.join()}].`);
  }
  return tensor.data;
}
