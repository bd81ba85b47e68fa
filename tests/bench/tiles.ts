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
import type { CallOf, Partials } from '../../src/engine/compiled/calls.ts';
import {
  encodeDispatch,
  prepare,
  worksOf,
  type Commands,
  type Place,
} from '../../src/engine/compiled/device/commands.ts';
import { createPipelines } from '../../src/engine/compiled/device/pipelines.ts';
import type { KernelTable } from '../../src/engine/compiled/kernels.ts';
import { matrix, type Memory } from '../../src/engine/compiled/memory.ts';
import { trainingPlan } from '../../src/engine/compiled/plan/training.ts';
import { convFilterGradientKernel } from '../../src/engine/compiled/wgsl/convFilterGradient.ts';
import { convInputGradientKernel } from '../../src/engine/compiled/wgsl/convInputGradient.ts';
import { convKernel } from '../../src/engine/compiled/wgsl/conv.ts';
import { sharedTiles, tileKey, type Tile, type Tiling } from '../../src/engine/compiled/wgsl/gemmTiles.ts';
import { wgslKernels } from '../../src/engine/compiled/wgsl/kernels.ts';
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
type Products = CallOf<'conv'> | CallOf<'convInputGradient'> | CallOf<'convFilterGradient'>;

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

const USAGE = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
const ARENA = 1 << 30;
const arena = device.createBuffer({ size: ARENA, usage: USAGE });
/** One a kept memory of a call: some are read, some written. */
const kept = Array.from({ length: 3 }, () => device.createBuffer({ size: 128 << 20, usage: USAGE }));
for (const buffer of [arena, ...kept]) {
  const noise = Float32Array.from({ length: 1 << 20 }, (_, i) => ((i * 7919) % 1013) / 1013 - 0.5);
  for (let at = 0; at < buffer.size; at += noise.byteLength) device.queue.writeBuffer(buffer, at, noise);
}

const seen = new Map<string, { call: Products; net: string; times: number }>();
for (const which of positionals.length > 0 ? positionals : ['densenet121:32']) {
  const [net = '', batch] = which.split(':');
  const plan = trainingPlan(netOf(net), usual, {
    images: Number(batch),
    imageSize: net === 'four_convolutions' ? 64 : Number(options.size),
    trainable: 'all',
    recompute: false,
  });
  for (const { call } of plan.calls) {
    if (call.kind !== 'conv' && call.kind !== 'convInputGradient' && call.kind !== 'convFilterGradient') continue;
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
  const chosen = await timed(call, usual);
  for (const { name, tiling } of candidates) {
    if (call.kind !== 'convFilterGradient' && name.includes('/') && !name.endsWith('/512')) continue;
    found[name] = await timed(call, table(tiling));
  }
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

function table(tiling: Tiling): Pick<KernelTable, 'conv' | 'convInputGradient' | 'convFilterGradient'> {
  return {
    conv: convKernel(tiling),
    convInputGradient: convInputGradientKernel(tiling),
    convFilterGradient: convFilterGradientKernel(tiling),
  };
}

function describe(call: Products): string {
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
async function timed(call: Products, kernels: Pick<KernelTable, Products['kind']>): Promise<number> {
  const own = fitted(call, kernels);
  const floats = kernels[own.kind].scratch?.(own as never) ?? 0;
  let next = 0;
  let nextKept = 0;
  const places = new Map<Memory, Place>();
  const placeOf = (memory: Memory): Place => {
    let place = places.get(memory);
    if (place) return place;
    const size = Math.max(16, memory.floats * 4);
    if (memory.kind === 'arena') {
      place = { buffer: arena, offset: next, size };
      next += Math.ceil(size / 256) * 256;
      if (next > ARENA) throw new Error(`${describe(own)} needs more than the arena.`);
    } else {
      place = { buffer: kept[nextKept++]!, offset: 0, size };
    }
    places.set(memory, place);
    return place;
  };
  const works = worksOf(kernels as KernelTable, [
    { call: own, scratch: floats > 0 ? matrix('scratch', 1, floats) : null },
  ]);
  const commands = await prepare(device, pipelines, works, placeOf);
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

/** With partial sums as this kernel's tiles make them. */
function fitted(call: Products, kernels: Pick<KernelTable, Products['kind']>): Products {
  const partials = (rows: number, channels: number, tileRows: number): Partials => {
    const count = Math.ceil(rows / tileRows);
    return { matrix: matrix('partials', 2 * count, channels), tiles: count, tileRows };
  };
  if (call.kind === 'conv' && call.statistics) {
    const rows = call.images * call.outHeight * call.outWidth;
    return { ...call, statistics: partials(rows, call.out.channels, kernels.conv.tileRows!(call)) };
  }
  if (call.kind === 'convInputGradient' && call.epilogue) {
    const sums = partials(
      call.images * call.height * call.width,
      call.out.channels,
      kernels.convInputGradient.tileRows!(call),
    );
    return { ...call, epilogue: { ...call.epilogue, sums } };
  }
  // Added up at once: other cuts make other slices.
  if (call.kind === 'convFilterGradient') {
    const { slices: _, ...itself } = call;
    return itself;
  }
  return call;
}
