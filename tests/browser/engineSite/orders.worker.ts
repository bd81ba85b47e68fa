import { architectures, buildGraph } from '../../../src/architectures/index.ts';
import { initialWeights } from '../../../src/architectures/initialise.ts';
import type { ArchitectureName } from '../../../src/architectures/settings.ts';
import { openEngine } from '../../../src/engine/device.ts';
import { OutOfMemoryError } from '../../../src/engine/errors.ts';
import { startThreaded } from '../../../src/engine/reference/threadedWasm.ts';
import { allocate, free } from '../../../src/engine/reference/wasmGradients/heap.ts';
import type { Engine } from '../../../src/engine/types.ts';
import { browserEngineEnvironment } from '../../../src/platform/browser/engineEnvironment.ts';
import { imageDecoder } from '../../../src/platform/browser/imageDecoder.ts';
import { random } from '../../../src/random.ts';
import { cropCost, type CropCost } from './cropCost.ts';

/** The engine as the trainer's worker has it, on a number of threads that the order names. One order a worker. */
interface Orders {
  readonly steps: {
    readonly threads: number;
    readonly architecture: ArchitectureName;
    readonly size: number;
    readonly batch: number;
    readonly steps: number;
    /** Of the heap, taken before: the network then lies behind it. */
    readonly held?: number;
  };
  /** Takes memory until there is no more, gives it back, then makes a step. */
  readonly fill: { readonly threads: number };
  readonly start: { readonly threads: number; readonly thread: string; readonly patience: number };
  /** `file`: base64. */
  readonly crop: { readonly file: string; readonly times: number };
}

export interface Answers {
  readonly steps: {
    /** As the page would name it. */
    readonly label: string;
    readonly notice: string | null;
    /** Until the engine was open, ms. */
    readonly opened: number;
    /** Of each step. */
    readonly milliseconds: readonly number[];
    readonly losses: readonly number[];
  };
  readonly fill: { readonly named: boolean; readonly bytes: number; readonly losses: readonly number[] };
  readonly start: { readonly failure: string | null; readonly milliseconds: number };
  readonly crop: CropCost;
}

export type Order<Kind extends keyof Orders> = { readonly kind: Kind } & Orders[Kind];

const CLASSES = 8;
/** Bytes that are taken at a time. */
const PIECE = 2 ** 26;

const answers: { [Kind in keyof Orders]: (order: Orders[Kind]) => Promise<Answers[Kind]> } = {
  async steps({ threads, held = 0, ...wanted }) {
    const begun = performance.now();
    const engine = await open(threads);
    const opened = performance.now() - begun;
    for (let bytes = 0; bytes < held; bytes += PIECE) allocate([PIECE / 4]);
    const { label, notice } = engine.adapter;
    return { label, notice, opened, ...(await train(engine, wanted)) };
  },
  async fill({ threads }) {
    const engine = await open(threads);
    const taken: ReturnType<typeof allocate>[] = [];
    try {
      for (;;) taken.push(allocate([PIECE / 4]));
    } catch (error) {
      const bytes = taken.length * PIECE;
      free(...taken);
      const { losses } = await train(engine, { architecture: 'tiny', size: 32, batch: 4, steps: 2 });
      return { named: error instanceof OutOfMemoryError, bytes, losses };
    }
  },
  async start({ threads, thread, patience }) {
    const begun = performance.now();
    const binary = browserEngineEnvironment().wasmPaths['tfjs-backend-wasm-threaded-simd.wasm'];
    const failure = await startThreaded(threads, { binary, thread }, patience).then(() => null, String);
    const milliseconds = performance.now() - begun;
    // An error that goes on to the page gets there: it would take this worker for dead.
    await new Promise((resolve) => setTimeout(resolve, 300));
    return { failure, milliseconds };
  },
  crop: ({ file, times }) =>
    cropCost(
      imageDecoder(),
      Uint8Array.from(atob(file), (char) => char.charCodeAt(0)),
      times,
    ),
};

addEventListener('message', ({ data }: MessageEvent<Order<keyof Orders>>) => {
  void (answers[data.kind] as (order: unknown) => Promise<unknown>)(data).then(
    (answer) => postMessage(answer),
    (error: unknown) => postMessage({ failed: String(error) }),
  );
});

/** The page gives wasm half as many threads as the computer has processors. */
function open(threads: number): Promise<Engine> {
  return openEngine('wasm', { ...browserEngineEnvironment(), processors: 2 * threads });
}

async function train(
  engine: Engine,
  { architecture, size, batch, steps }: Omit<Orders['steps'], 'threads' | 'held'>,
): Promise<Pick<Answers['steps'], 'milliseconds' | 'losses'>> {
  const graph = buildGraph(architecture, CLASSES);
  const network = await engine.build(graph, initialWeights(graph, architectures[architecture], 1), {
    trainable: 'all',
    optimiser: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
    clipNorm: null,
    batchNormMomentum: null,
    seed: 1,
  });
  const pixels = random(1, 2);
  const images = Float32Array.from({ length: batch * size * size * 3 }, () => 4 * pixels.uniform() - 2);
  const labels = Int32Array.from({ length: batch }, (_, i) => i % CLASSES);
  const milliseconds: number[] = [];
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    const start = performance.now();
    const { loss } = await network.trainStep([{ images, labels, n: batch, size }], 1e-3);
    milliseconds.push(performance.now() - start);
    losses.push(loss);
  }
  return { milliseconds, losses };
}
