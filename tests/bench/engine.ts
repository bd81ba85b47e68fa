/**
 * A training step of the compiled engine against stock tfjs, and of four_convolutions against jax-js, on the same adapter, with the figures
 * that don't depend on the machine.
 *
 *     npm run bench -- engine [--steps 3] [--size 224] [--json] [--alone] [--wait] [--floats] [--tune] [NETWORK:BATCH …]
 *
 * Ours is measured as a training run goes: five steps to warm up, then `--steps` of them, each asked for while the one before is under way,
 * and the wall's time over their number, the upload of augmented pictures of bytes among it (6 MB of a batch of 32 at 224 px; their reading
 * and drawing is not). Where others are measured too, again after their steps (medians, one after the other, tfjs's images on the device
 * already), and both counts. `--wait`: one after the other. `--floats`: a batch of floats that are ready (19 MB), as jax-js gets it in any case.
 *
 * By default densenet121:2, resnet50:2, mobilenet_v3_small:8 and four_convolutions:8 (64 px). `--alone` leaves the others out. `gemm_gflops`:
 * the product of two 1024 × 1024 matrices by the engine's kernels, two seconds of products one after the other on either side of the steps;
 * `gemm_quickest_gflops`: the quickest of five at the beginning, which a machine with neighbours does for moments alone. `bytes_per_image`:
 * what one image more costs; `peak_bytes`: all buffers of the network; `peak_bytes_32`: the same of a batch of 32, from its plan; `objects`:
 * GPU objects made in a step, encoders apart. `--tune` has the cuts of products chosen first, as a run does on a GPU: `tune_ms`, what it took;
 * `cuts`, what was chosen where it is not the default. `jax_loss_difference`: how far jax-js's first three losses are from ours;
 * `jax_failure`: why there is no `jax_ms`, where it should be.
 */
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { openEngine } from '../../src/engine/device.ts';
import { wgslKernels } from '../../src/engine/compiled/wgsl/kernels.ts';
import { traitsOf } from '../../src/engine/compiled/engine.ts';
import type { Cuts } from '../../src/engine/types.ts';
import type { Graph } from '../../src/graph/types.ts';
import { parametersOf } from '../../src/graph/parameters.ts';
import { countsOf } from '../../src/graph/counts.ts';
import { nodeEngineEnvironment } from '../../src/platform/node/engineEnvironment.ts';
import { countersOf } from '../gpu/compiled/support/deviceCounters.ts';
import { openJaxJs, type JaxJsResult } from './engine/jaxJsProcess.ts';
import { cropsOf, floatsOf } from './engine/batches.ts';
import { median } from './engine/median.ts';
import { netOf, valuesOf } from './engine/nets.ts';
import { openProduct, PRODUCT_FLOP } from './engine/product.ts';
import { steppingProcess } from './engine/steppingProcess.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: 'string', default: '3' },
    size: { type: 'string', default: '224' },
    json: { type: 'boolean', default: false },
    alone: { type: 'boolean', default: false },
    wait: { type: 'boolean', default: false },
    floats: { type: 'boolean', default: false },
    tune: { type: 'boolean', default: false },
  },
});
const cases =
  positionals.length > 0 ? positionals : ['densenet121:2', 'resnet50:2', 'mobilenet_v3_small:8', 'four_convolutions:8'];
const ABSENT: JaxJsResult = { jax_ms: null, jax_loss_difference: null, jax_failure: null };
/** With the first, which compiles. */
const WARM_UP = 5;
/** As long as a step of DenseNet121 takes on two cores. */
const BESIDE_MS = 2000;
const OPTIMISER = { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 } as const;

const engine = await openEngine('webgpu', await nodeEngineEnvironment({ gpu: true }));
const { device } = tf.backend() as unknown as { device: GPUDevice };
const { now: counted } = countersOf(device);
const kernels = wgslKernels(traitsOf(device, engine.adapter.software));
const product = await openProduct(device, kernels);
if (!options.json)
  console.log(`${engine.adapter.label}: 1024 × 1024 × 1024 at ${product.quickest.toFixed(2)} GFLOP/s at best`);
const rows = [];
for (const which of cases) {
  const [name = '', batch] = which.split(':');
  rows.push(await compared(name, Number(batch), name === 'four_convolutions' ? 64 : Number(options.size)));
}
product.dispose();
await engine.dispose();
if (options.json) for (const row of rows) console.log(JSON.stringify(row));
process.exit(0);

async function compared(net: string, n: number, size: number) {
  const graph = netOf(net);
  const weights = new Map(
    parametersOf(graph).map(({ name, shape, kind }) => [name, { shape, data: valuesOf(shape, kind) }]),
  );
  const { cuts, tune_ms } = await tunedFor(graph, n, size);
  const network = await engine.build(graph, weights, {
    cuts,
    trainable: 'all',
    optimiser: OPTIMISER,
    clipNorm: null,
    batchNormMomentum: null,
    seed: 1,
  });
  const stock = options.alone ? null : await openStock(net, n, size);
  const jax = options.alone || net !== 'four_convolutions' ? null : await openJaxJs(net, n, size);
  const floats = options.floats || jax !== null;
  const batches = floats ? [floatsOf(n, size)] : cropsOf(n, size);
  const losses: number[] = [];
  let asked = 0;
  /** Milliseconds of so many steps. */
  const steps = async (count: number): Promise<number> => {
    const from = performance.now();
    let underWay: Promise<{ readonly loss: number }> | null = null;
    const end = async (): Promise<void> => {
      if (underWay !== null) losses.push((await underWay).loss);
    };
    for (let i = 0; i < count; i++) {
      const next = network.trainStep([batches[asked++ % batches.length]!], 1e-4);
      await end();
      underWay = next;
      if (options.wait) await next;
    }
    await end();
    return performance.now() - from;
  };
  const first = await steps(1);
  await stock?.step();
  await jax?.step();
  await steps(WARM_UP - 1);
  const count = Number(options.steps);
  const products = [await product.sustained(BESIDE_MS)];
  const before = { ...counted };
  const ours = [await steps(count)];
  const per = {
    dispatches: round((counted.dispatches - before.dispatches) / count),
    submits: round((counted.submits - before.submits) / count),
    objects: round((counted.objects - before.objects) / count),
  };
  products.push(await product.sustained(BESIDE_MS));
  const theirs: number[] = [];
  for (let i = 0; i < count; i++) {
    if (stock) theirs.push(await stock.step());
    await jax?.step();
  }
  if (stock ?? jax) {
    ours.push(await steps(count));
    products.push(await product.sustained(BESIDE_MS));
  }
  stock?.close();
  jax?.close();
  const { jax_ms, jax_loss_difference, jax_failure } = jax?.result(losses) ?? ABSENT;
  const bytes = (images: number) =>
    engine.stepBytes(graph, { images, imageSize: size, trainable: 'all', optimiser: OPTIMISER, cuts }).total;
  const milliseconds = ours.reduce((sum, one) => sum + one, 0) / ours.length / count;
  const gemm = (PRODUCT_FLOP * products.length) / products.reduce((sum, one) => sum + one, 0) / 1e6;
  const operations = 6 * countsOf(graph, size).macs * n;
  const row = {
    net,
    batch: n,
    image_size: size,
    images: floats ? 'floats' : 'crops',
    ahead: !options.wait,
    adapter: engine.adapter.label,
    stock_ms: stock ? round(median(theirs)) : null,
    jax_ms: jax_ms === null ? null : round(jax_ms),
    jax_loss_difference,
    jax_failure,
    step_ms: round(milliseconds),
    first_step_ms: round(first),
    ...per,
    bytes_per_image: Math.round((bytes(8) - bytes(4)) / 4),
    peak_bytes: bytes(n),
    peak_bytes_32: bytes(32),
    gflops: round(operations / milliseconds / 1e6),
    gemm_gflops: round(gemm),
    gemm_quickest_gflops: round(product.quickest),
    ...(options.tune && { tune_ms, cuts: otherThanDefault(cuts) }),
  };
  network.dispose();
  if (!options.json) {
    const against = [
      beside('tfjs', row.stock_ms, row.step_ms),
      beside('jax-js', row.jax_ms, row.step_ms),
      jax_failure === null ? '' : `, no jax-js (${jax_failure})`,
      jax_loss_difference === null ? '' : `, its first losses within ${jax_loss_difference.toExponential(1)} of ours`,
    ].join('');
    console.log(
      `${net}, ${size} px, batch ${n} of ${row.images}: ${row.step_ms} ms (the first ${row.first_step_ms})${against}; ${row.gflops} GFLOP/s, ` +
        `${percent(row.gflops / gemm)} of the product's beside it, ${row.gemm_gflops} (${percent(row.gflops / product.quickest)} of the quickest); ` +
        `${row.dispatches} dispatches, ${row.submits} submits, ` +
        `${row.objects} objects; ${mb(row.bytes_per_image)} an image, ${mb(row.peak_bytes)} in all, ${mb(row.peak_bytes_32)} with 32`,
    );
  }
  return row;
}

/** What a run would choose before its first step; prints it. */
async function tunedFor(graph: Graph, images: number, imageSize: number) {
  if (!options.tune) return { cuts: null, tune_ms: null };
  const from = performance.now();
  const step = { images, imageSize, trainable: 'all', optimiser: OPTIMISER } as const;
  let measuredFrom: number | null = null;
  const tell = (): void => void (measuredFrom ??= performance.now());
  const signal = new AbortController().signal;
  const cuts = (await engine.tune?.(graph, step, { recorded: null, signal, tell })) ?? null;
  const now = performance.now();
  if (!options.json) {
    const others = Object.entries(otherThanDefault(cuts));
    console.log(
      cuts === null
        ? 'There is nothing to choose on a software adapter.'
        : `${graph.architecture}: cuts chosen in ${round(now - from)} ms, of which measuring ${round(now - (measuredFrom ?? now))}; ` +
            `${others.length} of ${Object.keys(cuts.chosen).length} classes are not cut by default`,
    );
    for (const [key, name] of others) console.log(`  ${key}: ${name}`);
  }
  return { cuts, tune_ms: round(now - from) };
}

function otherThanDefault(cuts: Cuts | null): Record<string, string | null> {
  return Object.fromEntries(Object.entries(cuts?.chosen ?? {}).filter(([, name]) => name !== null));
}

function beside(other: string, milliseconds: number | null, ours: number): string {
  return milliseconds === null
    ? ''
    : `, ${other} ${milliseconds} ms, ${(milliseconds / ours).toFixed(2)} times as long`;
}
function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
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
