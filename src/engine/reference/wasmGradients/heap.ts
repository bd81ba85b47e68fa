import type { Tensor, TensorInfo } from '@tensorflow/tfjs';
import { engine } from '@tensorflow/tfjs';

/**
 * The wasm backend's heap, on which tfjs's own JavaScript kernels (Slice, Concat) work too. A view dies when the heap grows: take
 * views only after the last `allocate`.
 */
interface WasmBackend {
  readonly wasm: {
    readonly HEAPU8: Uint8Array;
    _malloc(bytes: number): number;
    readonly tfjs: { disposeData(id: number): void; registerTensor(id: number, size: number, offset: number): void };
    /** Emscripten's: a kernel of the binary as a function of JavaScript. */
    cwrap(name: string, returns: null, takes: readonly 'number'[]): (...numbers: number[]) => void;
  };
  dataIdNextNumber: number;
  readonly dataIdMap: { get(dataId: object): { readonly id: number; readonly memoryOffset: number } };
  makeOutput(shape: readonly number[], dtype: 'float32'): TensorInfo;
  typedArrayFromHeap(info: TensorInfo): Float32Array;
  disposeData(dataId: object): boolean;
}

export function heap(): WasmBackend {
  return engine().backend as unknown as WasmBackend;
}

export function allocate(shape: readonly number[]): TensorInfo {
  return heap().makeOutput([...shape], 'float32');
}

export function view(tensor: TensorInfo): Float32Array {
  return heap().typedArrayFromHeap(tensor);
}

export function sizeOf({ shape }: TensorInfo): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** The whole heap as float32, for `copyWithin`; and where a tensor begins in it. */
export function floats(): Float32Array {
  return new Float32Array(heap().wasm.HEAPU8.buffer);
}

export function beginning(tensor: TensorInfo): number {
  return heap().dataIdMap.get(tensor.dataId).memoryOffset / 4;
}

export function free(...tensors: readonly TensorInfo[]): void {
  for (const { dataId } of tensors) heap().disposeData(dataId);
}

/**
 * To be called after a tensor's bytes were changed in place: the backend keeps packed copies of the weights of convolutions and
 * matrix products by tensor id, and would go on using the old ones.
 */
export function touched(tensor: Tensor): void {
  const { wasm, dataIdMap } = heap();
  const { id, memoryOffset } = dataIdMap.get(tensor.dataId);
  wasm.tfjs.disposeData(id);
  wasm.tfjs.registerTensor(id, tensor.size, memoryOffset);
}
