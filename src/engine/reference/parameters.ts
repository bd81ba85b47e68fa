import * as tf from '@tensorflow/tfjs';
import { parametersOfNode } from '../../graph/parameters.ts';
import type { Graph, ParameterSpec, Weights } from '../../graph/types.ts';
import { layoutOf, type Layout } from './layouts.ts';
import { isDepthwise } from './ops/conv2d.ts';
import type { NodeParameters } from './ops/types.ts';

/** A parameter or running statistic on the device. Tensors are replaced or written in place by updates. */
export interface DeviceParameter {
  readonly spec: ParameterSpec;
  readonly layout: Layout;
  value: tf.Tensor;
  /** Adam's moments; null where the parameter isn't trained. */
  moments: { first: tf.Tensor; second: tf.Tensor } | null;
}

export interface DeviceParameters {
  readonly all: ReadonlyMap<string, DeviceParameter>;
  ofNode(node: string): NodeParameters;
  read(): Promise<Weights>;
  write(weights: Weights): void;
  readMoments(): Promise<Weights>;
  /** @throws Error where a trained parameter's moments are missing or have another shape. */
  writeMoments(moments: Weights): void;
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
  for (const node of graph.nodes) {
    const own: Partial<Record<ParameterSpec['kind'], DeviceParameter>> = {};
    for (const spec of parametersOfNode(node)) {
      const layout = layoutOf(spec, node.op === 'conv2d' && isDepthwise(node));
      const shape = [...layout.engineShape];
      const parameter: DeviceParameter = {
        spec,
        layout,
        value: tf.tensor(layout.toEngine(dataOf(weights, spec.name, spec)), shape),
        moments: trainable(spec) ? { first: tf.zeros(shape), second: tf.zeros(shape) } : null,
      };
      own[spec.kind] = parameter;
      all.set(spec.name, parameter);
    }
    byNode.set(node.name, own);
  }

  const replace = (old: tf.Tensor, parameter: DeviceParameter, data: Float32Array): tf.Tensor => {
    const fresh = tf.tensor(parameter.layout.toEngine(data), [...parameter.layout.engineShape]);
    old.dispose();
    return fresh;
  };
  const download = async (parameter: DeviceParameter, tensor: tf.Tensor) => ({
    shape: parameter.spec.shape,
    data: parameter.layout.toTorch((await tensor.data()) as Float32Array),
  });

  return {
    all,
    ofNode(node) {
      const own = byNode.get(node)!;
      const result: { -readonly [K in keyof NodeParameters]: NodeParameters[K] } = {};
      for (const kind of Object.keys(own) as ParameterSpec['kind'][]) result[kind] = own[kind]!.value;
      return result;
    },
    async read() {
      const entries = [...all.values()].map(async (p) => [p.spec.name, await download(p, p.value)] as const);
      return new Map(await Promise.all(entries));
    },
    write(next) {
      for (const p of all.values()) dataOf(next, p.spec.name, p.spec);
      for (const p of all.values()) p.value = replace(p.value, p, dataOf(next, p.spec.name, p.spec));
    },
    async readMoments() {
      const entries = [...all.values()].flatMap((p) =>
        p.moments
          ? [
              download(p, p.moments.first).then((tensor) => [`${p.spec.name}.exp_avg`, tensor] as const),
              download(p, p.moments.second).then((tensor) => [`${p.spec.name}.exp_avg_sq`, tensor] as const),
            ]
          : [],
      );
      return new Map(await Promise.all(entries));
    },
    writeMoments(moments) {
      for (const p of all.values()) {
        if (!p.moments) continue;
        p.moments = {
          first: replace(p.moments.first, p, dataOf(moments, `${p.spec.name}.exp_avg`, p.spec)),
          second: replace(p.moments.second, p, dataOf(moments, `${p.spec.name}.exp_avg_sq`, p.spec)),
        };
      }
    },
    dispose() {
      for (const p of all.values()) {
        p.value.dispose();
        p.moments?.first.dispose();
        p.moments?.second.dispose();
      }
      all.clear();
    },
  };
}

function dataOf(weights: Weights, name: string, spec: ParameterSpec): Float32Array {
  const tensor = weights.get(name);
  if (!tensor) throw new Error(`The weights lack ${name}.`);
  if (tensor.shape.join() !== spec.shape.join()) {
    throw new Error(`${name} has shape [${tensor.shape.join()}], the network expects [${spec.shape.join()}].`);
  }
  return tensor.data;
}
