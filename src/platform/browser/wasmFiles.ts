import plain from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url';
import simd from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import threaded from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url';
import thread from './wasmThread.worker.ts?worker&url';
import type { WasmPaths } from '../../engine/types.ts';

/** Where the built page keeps tfjs's wasm binaries; absolute, since workers resolve against their own address. */
export const wasmPaths: WasmPaths = {
  'tfjs-backend-wasm.wasm': new URL(plain, import.meta.url).href,
  'tfjs-backend-wasm-simd.wasm': new URL(simd, import.meta.url).href,
  'tfjs-backend-wasm-threaded-simd.wasm': new URL(threaded, import.meta.url).href,
};

/** One thread of the threaded binary. */
export const wasmThreadScript: string = new URL(thread, import.meta.url).href;
