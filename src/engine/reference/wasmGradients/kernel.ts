import { getKernel, type KernelConfig, type TensorInfo } from '@tensorflow/tfjs';
import { heap } from './heap.ts';

/** A kernel for the wasm backend: inputs and attributes as tfjs documents them for its name. */
export function wasmKernel<Inputs, Attributes>(
  kernelName: string,
  compute: (inputs: Inputs, attributes: Attributes) => TensorInfo | TensorInfo[],
): KernelConfig {
  return {
    kernelName,
    backendName: 'wasm',
    kernelFunc: ({ inputs, attrs }) => compute(inputs as Inputs, attrs as Attributes),
  };
}

/** Calls one of the backend's own kernels; the result is the caller's to free. */
export function call(name: string, inputs: Record<string, TensorInfo>, attrs: object = {}): TensorInfo {
  const kernel = getKernel(name, 'wasm');
  if (!kernel) throw new Error(`The wasm backend has no kernel ${name}.`);
  return kernel.kernelFunc({ inputs, attrs: attrs as never, backend: heap() }) as TensorInfo;
}

/** `[m,k] · [k,n] → [m,n]`; other shapes with the same number of values are reinterpreted. */
export function matMul(a: TensorInfo, b: TensorInfo, m: number, k: number, n: number): TensorInfo {
  return call(
    'BatchMatMul',
    { a: { ...a, shape: [m, k] }, b: { ...b, shape: [k, n] } },
    { transposeA: false, transposeB: false },
  );
}

/** `[rows, columns] → [columns, rows]`. */
export function transpose(x: TensorInfo, rows: number, columns: number): TensorInfo {
  return call('Transpose', { x: { ...x, shape: [rows, columns] } }, { perm: [1, 0] });
}
