import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import type { EngineEnvironment } from '../../engine/types.ts';
import { openNodeGpu } from './gpu.ts';

/** `gpu: false` leaves WebGPU out: Dawn takes a while to start. */
export async function nodeEngineEnvironment(options: { readonly gpu: boolean }): Promise<EngineEnvironment> {
  // This file may run from a bundle, which lies in the repository too.
  const entry = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm/package.json');
  const binaries = join(dirname(entry), 'dist');
  return {
    gpu: options.gpu ? await openNodeGpu() : undefined,
    secureContext: true,
    inNode: true,
    // One thread: tfjs's threads are workers of a browser.
    crossOriginIsolated: false,
    processors: availableParallelism(),
    wasmPaths: {
      'tfjs-backend-wasm.wasm': join(binaries, 'tfjs-backend-wasm.wasm'),
      'tfjs-backend-wasm-simd.wasm': join(binaries, 'tfjs-backend-wasm-simd.wasm'),
      'tfjs-backend-wasm-threaded-simd.wasm': join(binaries, 'tfjs-backend-wasm-threaded-simd.wasm'),
    },
  };
}
