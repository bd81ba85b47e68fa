/**
 * A training step of the compiled engine against stock tfjs on the same adapter, in turn, medians; with the figures that don't depend on the machine.
 *
 *     npm run bench -- engine [--steps 3] [--size 224] [--json] [--alone] [NETWORK:BATCH …]
 *
 * By default densenet121:2, resnet50:2, mobilenet_v3_small:8 and four_convolutions:8 (64 px). First the best product of two 1024 × 1024
 * matrices that the engine's kernels do here. `--alone` leaves tfjs out. `bytes_per_image`: what one image more costs; `peak_bytes`: all
 * buffers of the network; `peak_bytes_32`: the same of a batch of 32, from its plan; `objects`: GPU objects made in a step, encoders apart.
 */
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { openEngine } from '../../src/engine/device.ts';
import { compiledBytes } from '../../src/engine/compiled/fit.ts';
import { wgslKernels } from '../../src/engine/compiled/wgsl/kernels.ts';
import { traitsOf } from '../../src/engine/compiled/engine.ts';
import { parametersOf } from '../../src/graph/parameters.ts';
import { countsOf } from '../../src/graph/counts.ts';
import { nodeEngineEnvironment } from '../../src/platform/node/engineEnvironment.ts';
import { median } from './engine/median.ts';
import { CLASSES, imagesOf, netOf, valuesOf } from './engine/nets.ts';
import { bestProduct } from './engine/product.ts';
import { steppingProcess } from './engine/steppingProcess.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: 'string', default: '3' },
    size: { type: 'string', default: '224' },
    json: { type: 'boolean', default: false },
    alone: { type: 'boolean', default: false },
  },
});
const cases =
  positionals.length > 0 ? positionals : ['densenet121:2', 'resnet50:2', 'mobilenet_v3_small:8', 'four_convolutions:8'];
const OPTIMISER = { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 } as const;

const engine = await openEngine('webgpu', await nodeEngineEnvironment({ gpu: true }));
const { device } = tf.backend() as unknown as { device: GPUDevice };
const counted = counters();
const kernels = wgslKernels(traitsOf(device, engine.adapter.software));
const gemm = await bestProduct(device, kernels);
if (!options.json) console.log(`${engine.adapter.label}: 1024 × 1024 × 1024 at ${gemm.toFixed(2)} GFLOP/s`);
const rows = [];
for (const which of cases) {
  const [name = '', batch] = which.split(':');
  rows.push(await compared(name, Number(batch), name === 'four_convolutions' ? 64 : Number(options.size)));
}
await engine.dispose();
if (options.json) for (const row of rows) console.log(JSON.stringify(row));
process.exit(0);

async function compared(net: string, n: number, size: number) {
  const graph = netOf(net);
  const weights = new Map(
    parametersOf(graph).map(({ name, shape, kind }) => [name, { shape, data: valuesOf(shape, kind) }]),
  );
  const labels = Int32Array.from({ length: n }, (_, i) => i % CLASSES);
  const batch = { images: imagesOf(n, size), labels, n, size };
  const network = await engine.build(graph, weights, {
    trainable: 'all',
    optimiser: OPTIMISER,
    clipNorm: null,
    batchNormMomentum: null,
    seed: 1,
  });
  const stock = options.alone ? null : await openStock(net, n, size);
  const begun = performance.now();
  await network.trainStep([batch], 1e-4);
  const first = performance.now() - begun;
  await stock?.step();
  await network.trainStep([batch], 1e-4);
  const ours: number[] = [];
  const theirs: number[] = [];
  let per = { ...counted };
  for (let i = 0; i < Number(options.steps); i++) {
    const before = { ...counted };
    const from = performance.now();
    await network.trainStep([batch], 1e-4);
    ours.push(performance.now() - from);
    per = {
      dispatches: counted.dispatches - before.dispatches,
      submits: counted.submits - before.submits,
      objects: counted.objects - before.objects,
    };
    if (stock) theirs.push(await stock.step());
  }
  stock?.close();
  const bytes = (images: number) =>
    compiledBytes(graph, kernels, { images, imageSize: size, trainable: 'all', optimiser: OPTIMISER }).total;
  const step = median(ours);
  const operations = 6 * countsOf(graph, size).macs * n;
  const row = {
    net,
    batch: n,
    image_size: size,
    adapter: engine.adapter.label,
    stock_ms: stock ? round(median(theirs)) : null,
    step_ms: round(step),
    first_step_ms: round(first),
    ...per,
    bytes_per_image: Math.round((bytes(8) - bytes(4)) / 4),
    peak_bytes: bytes(n),
    peak_bytes_32: bytes(32),
    gflops: round(operations / step / 1e6),
    gemm_gflops: round(gemm),
  };
  network.dispose();
  if (!options.json) {
    const against =
      row.stock_ms === null
        ? ''
        : `, tfjs ${row.stock_ms} ms, ${(row.stock_ms / row.step_ms).toFixed(2)} times as long`;
    console.log(
      `${net}, ${size} px, batch ${n}: ${row.step_ms} ms (the first ${row.first_step_ms})${against}; ${row.gflops} GFLOP/s, ` +
        `${((100 * row.gflops) / gemm).toFixed(0)} % of the product's; ${row.dispatches} dispatches, ${row.submits} submits, ` +
        `${row.objects} objects; ${mb(row.bytes_per_image)} an image, ${mb(row.peak_bytes)} in all, ${mb(row.peak_bytes_32)} with 32`,
    );
  }
  return row;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

async function openStock(net: string, n: number, size: number) {
  const args = ['scripts/run.mjs', 'tests/bench/engine/stock.ts', net, `${n}`, `${size}`];
  const stock = steppingProcess(process.execPath, args, 'inherit');
  for (let line = await stock.line(); line !== 'ready'; line = await stock.line()) {
    if (line === null) throw new Error('Stock tfjs did not start.');
  }
  return { step: async () => Number(await stock.step()), close: () => stock.close() };
}

/** Counts what is asked of the device from now on. */
function counters(): { dispatches: number; submits: number; objects: number } {
  const counts = { dispatches: 0, submits: 0, objects: 0 };
  for (const name of [
    'createBuffer',
    'createBindGroup',
    'createShaderModule',
    'createComputePipeline',
    'createComputePipelineAsync',
    'createTexture',
    'createQuerySet',
  ] as const) {
    after(device, name, () => void counts.objects++);
  }
  after(device.queue, 'submit', () => void counts.submits++);
  after(device, 'createCommandEncoder', (encoder) =>
    after(encoder as object, 'beginComputePass', (pass) =>
      after(pass as object, 'dispatchWorkgroups', () => void counts.dispatches++),
    ),
  );
  return counts;
}

function after(object: object, name: string, then: (result: unknown) => void): void {
  const original = ((object as Record<string, unknown>)[name] as (...given: unknown[]) => unknown).bind(object);
  Object.defineProperty(object, name, {
    value: (...given: unknown[]): unknown => {
      const result = original(...given);
      then(result);
      return result;
    },
  });
}
