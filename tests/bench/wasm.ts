/**
 * A training step on wasm, one thread, in Node, against PyTorch's on the same processor, two threads, in turn: medians and their ratio.
 *
 *     npm run bench -- wasm [--steps 9] [--size 224] [--profile] [--json] [NETWORK:BATCH …]
 *
 * By default mobilenet_v3_small:8 and densenet121:2. Both sides: float32, train mode, Adam, all layers; PyTorch in whichever memory layout
 * is the faster one there, in a Python that stays alive (PYTHON, or Debian's). Without torch ours stands alone. `--profile` says which
 * kernels took our processor's time. Anything that runs beside it falsifies the ratio, since PyTorch's two
 * threads wait for each other: then OMP_WAIT_POLICY=PASSIVE, and processor times, of which two threads have half each, say more.
 */
import { parseArgs } from 'node:util';
import { getKernelsForBackend, registerKernel, unregisterKernel } from '@tensorflow/tfjs';
import { architectures, buildGraph } from '../../src/architectures/index.ts';
import { initialWeights } from '../../src/architectures/initialise.ts';
import type { ArchitectureName } from '../../src/architectures/settings.ts';
import { openEngine } from '../../src/engine/device.ts';
import type { LabelledBatch } from '../../src/engine/types.ts';
import { nodeEngineEnvironment } from '../../src/platform/node/engineEnvironment.ts';
import { median } from './engine/median.ts';
import { steppingProcess } from './engine/steppingProcess.ts';

const CLASSES = 5;
/** Of each side, before those that count. */
const UNTIMED = 2;
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: 'string', default: '9' },
    size: { type: 'string', default: '224' },
    profile: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const size = Number(options.size);
const cases = positionals.length > 0 ? positionals : ['mobilenet_v3_small:8', 'densenet121:2'];

const engine = await openEngine('wasm', await nodeEngineEnvironment({ gpu: false }));
const profile = options.profile ? profiled() : null;
const results = [];
for (const which of cases) {
  const [name, batch] = which.split(':') as [ArchitectureName, string];
  results.push(await compared(name, Number(batch)));
}
await engine.dispose();
if (options.json) console.log(JSON.stringify(results));

async function compared(name: ArchitectureName, n: number) {
  const graph = buildGraph(name, CLASSES);
  const network = await engine.build(graph, initialWeights(graph, architectures[name], CLASSES), {
    trainable: 'all',
    optimiser: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
    clipNorm: null,
    batchNormMomentum: null,
    seed: 1,
  });
  const images = Float32Array.from({ length: n * size * size * 3 }, (_, i) => Math.sin(i * 12.9898) * 2);
  const batch: LabelledBatch = { images, labels: Int32Array.from({ length: n }, (_, i) => i % CLASSES), n, size };
  const torch = await openTorch(name, n);
  const ours: number[] = [];
  const processor: number[] = [];
  const theirs: (readonly [milliseconds: number, processor: number])[] = [];
  for (let i = 0; i < UNTIMED + Number(options.steps); i++) {
    if (i === UNTIMED) profile?.clear();
    const busy = process.cpuUsage();
    const begun = performance.now();
    await network.trainStep([batch], 1e-4);
    ours.push(performance.now() - begun);
    const { user, system } = process.cpuUsage(busy);
    processor.push((user + system) / 1000);
    if (torch) theirs.push(await torch.step());
  }
  torch?.close();
  network.dispose();
  const result = {
    network: name,
    batch: n,
    size,
    ours: median(ours.slice(UNTIMED)) / n,
    processor: median(processor.slice(UNTIMED)) / n,
    torch: torch ? median(theirs.slice(UNTIMED).map(([milliseconds]) => milliseconds)) / n : null,
    processorOfTorch: torch ? median(theirs.slice(UNTIMED).map(([, processor]) => processor)) / n : null,
    version: torch?.version ?? null,
    peakMiB: engine.memory().peakBytes / 2 ** 20,
  };
  const times = `${result.ours.toFixed(1)} ms an image (${result.processor.toFixed(1)} of processor time)`;
  const against =
    result.torch === null || result.processorOfTorch === null
      ? 'no torch here'
      : `${result.version} ${result.torch.toFixed(1)} ms (${result.processorOfTorch.toFixed(1)}); ` +
        `${(result.ours / result.torch).toFixed(2)} times as long, by processor time and two threads ` +
        `${((2 * result.processor) / result.processorOfTorch).toFixed(2)}`;
  console.log(
    `${name}, ${size} px, batch ${n}: ${times}; ${against}; tensors ${result.peakMiB.toFixed(0)} MiB at most`,
  );
  profile?.print(Number(options.steps) * n);
  return result;
}

/** Null where there is no Python with torch. */
async function openTorch(name: string, batch: number) {
  const script = ['tests/python/bench_step.py', '--network', name, '--batch', `${batch}`, '--size', `${size}`];
  const python = steppingProcess(process.env.PYTHON ?? '/usr/bin/python3', script, 'ignore');
  const first = await python.line();
  if (first === null) return null;
  const { torch, layout } = JSON.parse(first) as { torch: string; layout: string };
  return {
    version: `torch ${torch} (${layout})`,
    step: async () => JSON.parse(await python.step()) as readonly [milliseconds: number, processor: number],
    close: () => python.close(),
  };
}

/** Wraps all kernels: processor time of each by itself, without those that it calls. */
function profiled() {
  const times = new Map<string, { calls: number; microseconds: number }>();
  const inner: number[] = [];
  const now = () => {
    const { user, system } = process.cpuUsage();
    return user + system;
  };
  for (const kernel of getKernelsForBackend('wasm')) {
    unregisterKernel(kernel.kernelName, 'wasm');
    registerKernel({
      ...kernel,
      // It was called when the backend was registered.
      setupFunc: undefined as never,
      kernelFunc: (given) => {
        const begun = now();
        inner.push(0);
        try {
          return kernel.kernelFunc(given);
        } finally {
          const took = now() - begun;
          const own = took - inner.pop()!;
          if (inner.length > 0) inner[inner.length - 1]! += took;
          const entry = times.get(kernel.kernelName) ?? { calls: 0, microseconds: 0 };
          times.set(kernel.kernelName, { calls: entry.calls + 1, microseconds: entry.microseconds + own });
        }
      },
    });
  }
  let since = now();
  return {
    clear() {
      times.clear();
      since = now();
    },
    print(images: number) {
      const all = now() - since;
      const sorted = [...times].sort(([, a], [, b]) => b.microseconds - a.microseconds);
      const rest = all - sorted.reduce((sum, [, { microseconds }]) => sum + microseconds, 0);
      const rows = [...sorted, ['outside of kernels', { calls: 0, microseconds: rest }] as const];
      for (const [name, { calls, microseconds }] of rows) {
        if (microseconds < all / 500) continue;
        const share = `${((100 * microseconds) / all).toFixed(1)} %`;
        const each = (microseconds / 1000 / images).toFixed(2);
        console.log(
          `  ${name.padEnd(36)} ${each.padStart(8)} ms ${share.padStart(7)} ${(calls / images).toFixed(0).padStart(6)} calls`,
        );
      }
    },
  };
}
