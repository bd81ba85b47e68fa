import start from '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd.js';

/**
 * One thread of tfjs's threaded wasm binary. tfjs makes its threads from Blobs, which a content policy without `blob:` forbids; this
 * is a file of the page's own, and has the binary's JavaScript in it. It does what Emscripten's own script does (wasm-out's
 * `…-threaded-simd.worker.js`, less Node's part), for the two messages that a thread gets before it is lost in the binary for good.
 * Emscripten starts it as a classic script: built, it must neither import nor export.
 */
type Message =
  | { readonly cmd: 'load'; readonly wasmMemory: WebAssembly.Memory; readonly wasmModule: WebAssembly.Module }
  | { readonly cmd: 'run'; readonly pthread_ptr: number; readonly start_routine: number; readonly arg: number };

/** The part of Emscripten's module that a thread calls; names are Emscripten's. */
interface ThreadModule {
  readonly PThread: { threadInitTLS(): void };
  __emscripten_thread_init(pointer: number, isMainBrowserThread: 0, isMainRuntimeThread: 0, canBlock: 1): void;
  __emscripten_thread_crashed(): void;
  establishStackSpace(): void;
  invokeEntryPoint(startRoutine: number, argument: number): void;
}

type Receive = (instance: WebAssembly.Instance) => void;

let module: ThreadModule | null = null;

// Called by the binary's JavaScript, through the global scope.
Object.assign(globalThis, {
  startWorker: (loaded: ThreadModule) => {
    module = loaded;
    postMessage({ cmd: 'loaded' });
  },
});

addEventListener('unhandledrejection', ({ reason }) => {
  throw reason ?? new Error('A promise was rejected.');
});

addEventListener('message', ({ data }: MessageEvent<Message>) => {
  if (data.cmd === 'load') load(data.wasmMemory, data.wasmModule);
  else if (data.cmd === 'run') run(data.pthread_ptr, data.start_routine, data.arg);
});

function load(wasmMemory: WebAssembly.Memory, wasmModule: WebAssembly.Module): void {
  const settings = {
    wasmMemory,
    buffer: wasmMemory.buffer,
    ENVIRONMENT_IS_PTHREAD: true,
    instantiateWasm: (imports: WebAssembly.Imports, receive: Receive) => {
      const instance = new WebAssembly.Instance(wasmModule, imports);
      receive(instance);
      return instance.exports;
    },
  };
  void start(settings);
}

function run(pointer: number, startRoutine: number, argument: number): void {
  if (module === null) throw new Error('The thread was started before it was loaded.');
  module.__emscripten_thread_init(pointer, 0, 0, 1);
  module.establishStackSpace();
  module.PThread.threadInitTLS();
  try {
    module.invokeEntryPoint(startRoutine, argument);
  } catch (error) {
    // Emscripten's way out of a stack that is not to be returned to.
    if (error === 'unwind') return;
    module.__emscripten_thread_crashed();
    throw error;
  }
}
