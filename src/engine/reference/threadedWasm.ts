import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';

/** What `BackendWasm` is made of: Emscripten's module with tfjs's functions on it. */
type WasmModule = ConstructorParameters<typeof BackendWasm>[0];
type Plain = WasmModule & { cwrap(name: string, returns: 'number' | null, takes: readonly 'number'[]): () => number };

export interface ThreadedFiles {
  /** The threaded binary. */
  readonly binary: string;
  /** The script of one thread. */
  readonly thread: string;
}

interface Thread {
  addEventListener(type: 'error', listener: (event: Event) => void, options: { signal: AbortSignal }): void;
  terminate(): void;
}

/** What Emscripten puts on the settings that it is given, before it returns. */
interface Threads {
  readonly PThread?: { readonly unusedWorkers: Thread[] };
}

interface Imports {
  readonly env: Record<string, unknown>;
}
interface Instantiated {
  readonly instance: object;
  readonly module: object;
}

/** This room's types know nothing of a browser's. */
declare const WebAssembly: { instantiate(bytes: ArrayBuffer, imports: Imports): Promise<Instantiated> };

/** A file that never comes must not hold up training, which goes without threads too; ms. */
const PATIENCE = 10_000;

/**
 * tfjs's threaded binary, started from files of the page's own: tfjs starts it from Blobs, which a content policy without `blob:`
 * forbids. Otherwise as its `init` does (tfjs-backend-wasm, backend_wasm.ts), but for the number of threads, the caller's included:
 * tfjs starts eight always, and uses half as many as there are processors at most. Rejects, and leaves no thread behind, where they
 * cannot be had.
 */
export async function startThreaded(
  threads: number,
  files: ThreadedFiles,
  patience: number = PATIENCE,
): Promise<WasmModule> {
  const { default: start } = await import('@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd.js');
  let fail: (error: unknown) => void = () => {};
  const failing = new Promise<never>((_, reject) => (fail = reject));
  // Should `start` throw, nobody waits for it.
  failing.catch(() => {});
  const settings = {
    locateFile: (path: string) => (path.endsWith('.wasm') ? files.binary : files.thread),
    instantiateWasm: (imports: Imports, receive: (instance: object, module: object) => void) => {
      // Half of it is the most that the binary uses.
      imports.env.emscripten_num_logical_cores = () => 2 * threads;
      instantiate(files.binary, imports).then(({ instance, module }) => receive(instance, module), fail);
      return {};
    },
  };
  const workers = (): Thread[] => (settings as Threads).PThread?.unusedWorkers ?? [];
  const over = new AbortController();
  const timer = setTimeout(() => fail(new Error('they did not start in time')), patience);
  try {
    // Throws where there is no shared memory that may grow to 4 GiB, as on some telephones.
    const starting = start(settings);
    for (const spare of workers().splice(threads - 1)) spare.terminate();
    for (const worker of workers()) worker.addEventListener('error', (event) => fail(failure(event)), over);
    const module = await Promise.race([starting, failing]);
    // From now on an error is Emscripten's: it ends this worker, as it must. Of threads that failed to start none is heard again.
    over.abort();
    return withFunctions(module as Plain);
  } catch (error) {
    for (const worker of workers().splice(0)) worker.terminate();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function instantiate(binary: string, imports: Imports): Promise<Instantiated> {
  const response = await fetch(binary);
  if (!response.ok) throw new Error(`their binary could not be loaded: ${response.status}`);
  return WebAssembly.instantiate(await response.arrayBuffer(), imports);
}

/** Emscripten's own listener would throw the error on, and this worker would pass for dead. */
function failure(event: Event): Error {
  event.preventDefault();
  event.stopImmediatePropagation();
  const { message } = event as Event & { readonly message?: string };
  return new Error(message || 'their script could not be loaded');
}

function withFunctions(module: Plain): WasmModule {
  return Object.assign(module, {
    tfjs: {
      init: module.cwrap('init', null, []),
      initWithThreadsCount: module.cwrap('init_with_threads_count', null, ['number']),
      getThreadsCount: module.cwrap('get_threads_count', 'number', []),
      registerTensor: module.cwrap('register_tensor', null, ['number', 'number', 'number']),
      disposeData: module.cwrap('dispose_data', null, ['number']),
      dispose: module.cwrap('dispose', null, []),
    },
  });
}
