import { engine } from '@tensorflow/tfjs';
import { OutOfMemoryError } from '../errors.ts';

interface Malloc {
  (bytes: number): number;
  checked?: boolean;
}

/**
 * tfjs takes address 0, which is how malloc says that there is no more memory, for an address, and writes there. This makes it an error.
 */
export function checkAllocations(): void {
  const { wasm } = engine().backend as unknown as { wasm: { _malloc: Malloc; _free: (address: number) => void } };
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
