import * as tf from '@tensorflow/tfjs';
import { wasmThreads, type WasmThreads } from '../adapter.ts';
import type { EngineEnvironment } from '../types.ts';
import type { OpenBackend } from './host.ts';
import { startThreaded } from './threadedWasm.ts';
import { checkAllocations } from './wasmAllocations.ts';

/** The backend once it was started; it stays for the life of the worker, and its threads with it (in Chromium two seconds longer). */
let started: Promise<WasmThreads> | null = null;
/** What has become of it. */
let known: WasmThreads | null = null;

/** What wasm has here; before it was started, what it is to have. */
export function threadsOf(environment: EngineEnvironment): WasmThreads {
  return known ?? { count: wasmThreads(environment), notice: null };
}

/** Starts tfjs's wasm backend, or takes the one that runs. */
export async function openWasm(
  environment: EngineEnvironment,
): Promise<{ backend: OpenBackend; threads: WasmThreads }> {
  started ??= start(environment);
  try {
    known = await started;
  } catch (error) {
    started = null;
    throw error;
  }
  if (!(await tf.setBackend('wasm'))) throw new Error('tfjs could not start its wasm backend.');
  checkAllocations();
  return { backend: { name: 'wasm', device: null }, threads: known };
}

/** Registers the backend: with threads where it can, else tfjs's own. */
async function start(environment: EngineEnvironment): Promise<WasmThreads> {
  const wasm = await import('@tensorflow/tfjs-backend-wasm');
  wasm.setWasmPaths({ ...environment.wasmPaths });
  // tfjs would start threads its own way.
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  const count = wasmThreads(environment);
  if (count === 1) return { count, notice: null };
  try {
    if (!(await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT'))) throw new Error('this browser’s WebAssembly has no SIMD');
    const module = await startThreaded(count, {
      binary: environment.wasmPaths['tfjs-backend-wasm-threaded-simd.wasm'],
      thread: environment.wasmThreadScript!,
    });
    wasm.setThreadsCount(count);
    const backend = new wasm.BackendWasm(module);
    tf.removeBackend('wasm');
    tf.registerBackend('wasm', () => backend);
    return { count: wasm.getThreadsCount(), notice: null };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const notice =
      `The processor works with one thread only: more could not be started (${why}). ` +
      'Training is slower, with the same results.';
    return { count: 1, notice };
  }
}
