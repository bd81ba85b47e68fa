/**
 * Every product of a training step (convolutions, their input and filter gradients) with every cut into workgroups: which is the
 * quickest for its shape, and how far the others and the defaults are from it.
 *
 *     npm run bench -- tiles [--json] [--ms 3] [NETWORK:BATCH …]
 *
 * By default densenet121:32. Cuts of one shape are timed in turn, each for `--ms` of the device's
 * time, the shortest of three rounds: a GPU's clock moves, and only times of one moment can be compared. For GPUs: a software adapter takes hours.
 */
import { parseArgs } from 'node:util';
import type { Commands } from '../../src/engine/compiled/device/commands.ts';
import { createPipelines } from '../../src/engine/compiled/device/pipelines.ts';
import { trainingPlan } from '../../src/engine/compiled/plan/training.ts';
import { alone, createBench } from '../../src/engine/compiled/tuning/alone.ts';
import { isProduct, type Product } from '../../src/engine/compiled/tuning/products.ts';
import { createStopwatch } from '../../src/engine/compiled/tuning/stopwatch.ts';
import { sharedTiles, tileKey, type Tile, type Tiling } from '../../src/engine/compiled/wgsl/gemmTiles.ts';
import { productKernels, wgslKernels } from '../../src/engine/compiled/wgsl/kernels.ts';
import { openDevice } from './engine/device.ts';
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
const { device, report } = await openDevice();
console.log(JSON.stringify({ adapter: report.label, limits: report.limits, features: report.features }));
const pipelines = createPipelines(device);
const watch = createStopwatch(device);
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
  // All at once: the driver compiles on as many threads as it likes.
  const prepared = await Promise.all([itself, ...each.map((one) => one.itself)].map(bench.prepare));
  const [chosen = NaN, ...others] = await timed(prepared);
  for (const [i, { name }] of each.entries()) found[name] = others[i]!;
  for (const commands of prepared) commands.dispose();
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

/** ms of each. */
async function timed(all: readonly Commands[]): Promise<number[]> {
  const spans = all.map(({ list }) => ({ commands: list, repeats: 1, expected: 0 }));
  // A first run may compile.
  await watch.times(spans);
  const once = await watch.times(spans);
  const long = spans.map((span, i) => {
    const repeats = Math.max(1, Math.min(200, Math.ceil(Number(options.ms) / Math.max(0.02, once[i]!))));
    return { ...span, repeats, expected: repeats * once[i]! };
  });
  const shortest = long.map(() => Infinity);
  for (let round = 0; round < 3; round++) {
    for (const [i, ms] of (await watch.times(long)).entries())
      shortest[i] = Math.min(shortest[i]!, ms / long[i]!.repeats);
  }
  return shortest;
}
