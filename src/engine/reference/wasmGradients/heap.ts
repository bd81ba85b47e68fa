import type { Tensor, TensorInfo } from '@tensorflow/tfjs';
import { engine } from '@tensorflow/tfjs';
import { OutOfMemoryError } from '../../errors.ts';

interface Malloc {
  (bytes: number): number;
  checked?: boolean;
}

/**
 * The wasm backend's heap, on which tfjs's own JavaScript kernels (Slice, Concat) work too. A view dies when the heap grows: take
 * views only after the last `allocate`.
 */
interface WasmBackend {
  readonly wasm: {
    _malloc: Malloc;
    readonly _free: (address: number) => void;
    readonly tfjs: { disposeData(id: number): void; registerTensor(id: number, size: number, offset: number): void };
  };
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

/**
 * tfjs takes address 0, which is how malloc says that there is no more memory, for an address, and writes there. This makes it an error.
 */
export function checkAllocations(): void {
  const { wasm } = heap();
  if (wasm._malloc.checked) return;
  // Emscripten's function replaces itself at its first call: only then it is what can be wrapped.
  wasm._free(wasm._malloc(4));
  const malloc = wasm._malloc;
  const checkedMalloc: Malloc = (bytes) => {
    const address = malloc(bytes);
    if (address === 0 && bytes > 0) throw new OutOfMemoryError(bytes);
    return address;
  };
  checkedMalloc.checked = true;
  wasm._malloc = checkedMalloc;
}
