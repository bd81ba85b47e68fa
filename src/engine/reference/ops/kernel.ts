import { engine, getKernel, type NamedAttrMap, type Tensor } from '@tensorflow/tfjs';

/** Runs one tfjs kernel on the current backend. */
export function run(name: string, inputs: Record<string, Tensor>, attrs: object = {}): Tensor {
  return engine().runKernel(name, inputs, attrs as NamedAttrMap) as Tensor;
}

/** The same for a kernel with several outputs. */
export function runMany(name: string, inputs: Record<string, Tensor>, attrs: object = {}): Tensor[] {
  return engine().runKernel(name, inputs, attrs as NamedAttrMap) as Tensor[];
}

/** Whether the current backend has this kernel: our fused ones are registered for some backends only. */
export function hasKernel(name: string): boolean {
  return getKernel(name, engine().backendName) !== undefined;
}
