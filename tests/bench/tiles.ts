/**
 * Every product of a training step (convolutions, their input and filter gradients) with every cut into workgroups: which is the
 * quickest for its shape, and how far the others and the defaults are from it.
 *
 *     npm run bench -- tiles [--json] [--ms 3] [NETWORK:BATCH …]
 *
 * By default densenet121:32. Each is repeated for `--ms` of the device's time, in one submit. For GPUs: a software adapter takes hours.
 */
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { describeAdapter, requestAdapter } from '../../src/engine/adapter.ts';
import { encodeDispatch, type Commands } from '../../src/engine/compiled/device/commands.ts';
import { createPipelines } from '../../src/engine/compiled/device/pipelines.ts';
import { trainingPlan } from '../../src/engine/compiled/plan/training.ts';
import { alone, createBench, type Alone, type Bench } from '../../src/engine/compiled/tuning/alone.ts';
import { isProduct, type Product } from '../../src/engine/compiled/tuning/products.ts';
import { sharedTiles, tileKey, type Tile, type Tiling } from '../../src/engine/compiled/wgsl/gemmTiles.ts';
import { productKernels, wgslKernels } from '../../src/engine/compiled/wgsl/kernels.ts';
import { openWebGpu } from '../../src/engine/reference/webgpuBackend.ts';
import { nodeEngineEnvironment } from '../../src/platform/node/engineEnvironment.ts';
import { netOf } from './engine/nets.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    ms: { type: 'string', default: '3' },
    size: { type: 'string', default: '224' },
    only: { type: 'string' },
  },
});
const adapter = await requestAdapter(await nodeEngineEnvironment({ gpu: true }));
if (!adapter) throw new Error('No WebGPU adapter.');
const report = describeAdapter(adapter, null);
await openWebGpu(adapter);
const { device } = tf.backend() as unknown as { device: GPUDevice };
device.addEventListener('uncapturederror', (event) => {
  console.error((event as GPUUncapturedErrorEvent).error.message);
  process.exit(1);
});
console.log(JSON.stringify({ adapter: report.label, limits: report.limits, features: report.features }));
const pipelines = createPipelines(device);
const usual = wgslKernels({ software: false, subgroups: false });
const candidates: readonly { readonly name: string; readonly tiling: Tiling }[] = [
  ...sharedTiles.map((tile) => candidate(tile, 512)),
  ...sharedTiles.filter(({ ahead }) => ahead).flatMap((tile) => [1024, 2048].map((enough) => candidate(tile, enough))),
];

const seen = new Map<string, { call: Product; net: string; times: number }>();
for (const which of positionals.length > 0 ? positionals : ['densenet121:32']) {
  const [net = '', batch] = which.split(':');
  const plan = trainingPlan(netOf(net), usual, {
    images: Number(batch),
    imageSize: net === 'four_convolutions' ? 64 : Number(options.size),
    trainable: 'all',
    recompute: false,
  });
  for (const { call } of plan.calls) {
    if (!isProduct(call)) continue;
    const key = `${which} ${describe(call)}`;
    const there = seen.get(key);
    if (there) there.times++;
    else seen.set(key, { call, net: which, times: 1 });
  }
}
const totals = new Map<string, { best: number; usual: number; flops: number }>();
for (const [key, { call, net, times }] of seen) {
  if (options.only && !key.includes(options.only)) continue;
  const found: Record<string, number> = {};
  const flops = usual[call.kind].cost(call as never).flops;
  const each = candidates
    .filter(({ name }) => call.kind === 'convFilterGradient' || name.endsWith('/512'))
    .map(({ name, tiling }) => ({ name, itself: alone(call, productKernels(tiling)) }));
  const itself = alone(call, usual);
  const bench = await createBench(device, pipelines, [itself, ...each.map((one) => one.itself)]);
  const chosen = await timed(bench, itself);
  for (const { name, itself: other } of each) found[name] = await timed(bench, other);
  bench.dispose();
  const sorted = Object.entries(found).sort((a, b) => a[1] - b[1]);
  const total = totals.get(net) ?? { best: 0, usual: 0, flops: 0 };
  totals.set(net, {
    best: total.best + times * sorted[0]![1],
    usual: total.usual + times * chosen,
    flops: total.flops + times * flops,
  });
  console.log(
    options.json
      ? JSON.stringify({ key, times, flops, usual: chosen, ...found })
      : `${key} × ${times}: ${(chosen * 1000).toFixed(0)} µs (${(flops / chosen / 1e9).toFixed(1)} TFLOP/s); ` +
          sorted
            .slice(0, 4)
            .map(([name, ms]) => `${name} ${(ms * 1000).toFixed(0)} (${(flops / ms / 1e9).toFixed(1)})`)
            .join(', '),
  );
}
for (const [net, { best, usual: now, flops }] of totals) {
  console.log(
    `${net}: products take ${now.toFixed(2)} ms by default, ${best.toFixed(2)} ms at best (${(flops / best / 1e9).toFixed(1)} TFLOP/s)`,
  );
}
process.exit(0);

function candidate(tile: Tile, enough: number): { name: string; tiling: Tiling } {
  return { name: `${tileKey(tile)}/${enough}`, tiling: { product: () => tile, filter: () => ({ tile, enough }) } };
}

function describe(call: Product): string {
  const from = call.kind === 'convInputGradient' ? call.out.channels : call.source.view.channels;
  const to = call.kind === 'conv' ? call.out.channels : call.dy.channels;
  const fused =
    call.kind === 'convInputGradient'
      ? call.epilogue
        ? ' sums'
        : call.accumulate
          ? ' adds'
          : ''
      : `${call.source.norm ? ' norm' : ''}${call.kind === 'conv' && call.statistics ? ' moments' : ''}`;
  return `${call.kind} ${call.kernel}×${call.kernel}/${call.stride} ${from}→${to} @${call.height}${fused}`;
}

/** ms of one call. */
async function timed(bench: Bench, itself: Alone): Promise<number> {
  const commands = await bench.prepare(itself);
  await run(commands, 1);
  const once = await run(commands, 1);
  const repeats = Math.max(3, Math.min(200, Math.ceil(Number(options.ms) / Math.max(0.02, once))));
  const took = (await run(commands, repeats)) / repeats;
  commands.dispose();
  return took;
}

async function run(commands: Commands, times: number): Promise<number> {
  const begun = performance.now();
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (let i = 0; i < times; i++) for (const command of commands.list) encodeDispatch(pass, command);
  pass.end();
  device.queue.submit([encoder.finish()]);
  await device.queue.onSubmittedWorkDone();
  return performance.now() - begun;
}
