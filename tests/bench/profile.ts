/**
 * Where a training step's time goes on WebGPU: by kind of kernel, by program, and the dearest layers and dispatches.
 *
 *     npm run bench -- profile [--plan] [--recompute] [--size 224] [--steps 3] [--frozen] [--clip] [--json] [NETWORK:BATCH …]
 *
 * By default densenet121:2. The device times every dispatch (`timestamp-query`), medians of some steps; operations and bytes are the
 * kernels' own models. `--frozen` trains the head alone, `--clip` with the gradient's norm clipped. `--plan` needs no GPU and runs nothing:
 * it prints what the step is made of, layer by layer, as any GPU runs it, and where its memory is (`--software`: as lavapipe runs it).
 */
import { parseArgs } from 'node:util';
import { describePlan, printPlan } from '../../src/engine/compiled/plan/print.ts';
import { trainingPlan } from '../../src/engine/compiled/plan/training.ts';
import { wgslKernels } from '../../src/engine/compiled/wgsl/kernels.ts';
import { openEngine } from '../../src/engine/device.ts';
import { summed, type ProfileSum } from '../../src/engine/profile.ts';
import type { ProfileRow } from '../../src/engine/types.ts';
import { parametersOf } from '../../src/graph/parameters.ts';
import { nodeEngineEnvironment } from '../../src/platform/node/engineEnvironment.ts';
import { median } from './engine/median.ts';
import { CLASSES, imagesOf, netOf, valuesOf } from './engine/nets.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: 'string', default: '224' },
    steps: { type: 'string', default: '3' },
    frozen: { type: 'boolean', default: false },
    clip: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    plan: { type: 'boolean', default: false },
    software: { type: 'boolean', default: false },
    recompute: { type: 'boolean', default: false },
  },
});
const size = Number(options.size);
const cases = (positionals.length > 0 ? positionals : ['densenet121:2']).map((which) => {
  const [net = '', batch] = which.split(':');
  return { net, n: Number(batch) };
});
const trainable = options.frozen ? 'head' : 'all';
if (options.plan) {
  for (const { net, n } of cases) planned(net, n);
  process.exit(0);
}
const engine = await openEngine('webgpu', await nodeEngineEnvironment({ gpu: true }));
for (const { net, n } of cases) await profiled(net, n);
await engine.dispose();
process.exit(0);

function planned(net: string, n: number): void {
  const graph = netOf(net);
  const kernels = wgslKernels({ software: options.software, subgroups: options.software });
  const { recompute } = options;
  const plan = trainingPlan(graph, kernels, { images: n, imageSize: size, trainable, recompute });
  const description = describePlan(graph, plan, kernels);
  const head = { net, batch: n, image_size: size };
  if (options.json) console.log(JSON.stringify({ ...head, ...description }));
  else console.log(`\n${net}, ${size} px, batch ${n}: the plan of a training step\n\n${printPlan(description)}\n`);
}

async function profiled(net: string, n: number): Promise<void> {
  const graph = netOf(net);
  const weights = new Map(
    parametersOf(graph).map(({ name, shape, kind }) => [name, { shape, data: valuesOf(shape, kind) }]),
  );
  const network = await engine.build(graph, weights, {
    trainable,
    recompute: options.recompute,
    optimiser: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
    clipNorm: options.clip ? 1 : null,
    batchNormMomentum: null,
    seed: 1,
  });
  if (!network.profile) throw new Error(`${engine.adapter.label} can't time its dispatches.`);
  const labels = Int32Array.from({ length: n }, (_, i) => i % CLASSES);
  const batch = { images: imagesOf(n, size), labels, n, size };
  for (let i = 0; i < 2; i++) await network.trainStep([batch], 1e-4);
  const plain: number[] = [];
  const walls: number[] = [];
  const steps: (readonly ProfileRow[])[] = [];
  for (let i = 0; i < Number(options.steps); i++) {
    const from = performance.now();
    await network.trainStep([batch], 1e-4);
    plain.push(performance.now() - from);
    const { rows, milliseconds } = await network.profile([batch], 1e-4);
    walls.push(milliseconds);
    steps.push(rows);
  }
  network.dispose();
  const rows = steps[0]!.map((row, i) => ({
    ...row,
    milliseconds: median(steps.map((step) => step[i]!.milliseconds)),
  }));
  if (options.json) {
    for (const row of rows) console.log(JSON.stringify({ net, batch: n, image_size: size, ...row }));
    return;
  }
  const [whole] = summed(rows, () => 'all');
  const total = whole!.milliseconds;
  console.log(
    `\n${net}, ${size} px, batch ${n}, ${engine.adapter.label}: a step takes ${median(plain).toFixed(1)} ms, measured ` +
      `${median(walls).toFixed(1)} ms, of which ${total.toFixed(1)} ms are in dispatches\n`,
  );
  print(
    'Kind',
    summed(rows, ({ kind }) => kind),
    total,
  );
  print(
    'Program',
    summed(rows, ({ program }) => program),
    total,
  );
  print('The 20 dearest layers', summed(rows, ({ node }) => node).slice(0, 20), total);
  const single = summed(rows, ({ node, kind, program }) => `${node} ${kind}: ${program}`);
  print('The 40 dearest calls', single.slice(0, 40), total);
  print('All', [whole!], total);
}

function print(title: string, sums: readonly ProfileSum[], total: number): void {
  const width = Math.max(title.length, ...sums.map(({ name }) => name.length));
  const line = (name: string, cells: readonly string[]): string =>
    `${name.padEnd(width)} ${cells.map((cell) => cell.padStart(10)).join('')}`;
  console.log(line(title, ['times', 'ms', '%', 'GFLOP', 'GFLOP/s', 'MB', 'GB/s']));
  for (const { name, dispatches, milliseconds, flops, bytes } of sums) {
    const rate = (amount: number): string =>
      amount > 0 && milliseconds > 0 ? figure(amount / milliseconds / 1e6) : '–';
    console.log(
      line(name, [
        `${dispatches}`,
        milliseconds.toFixed(2),
        ((100 * milliseconds) / total).toFixed(1),
        flops > 0 ? figure(flops / 1e9) : '–',
        rate(flops),
        bytes > 0 ? figure(bytes / 1e6) : '–',
        rate(bytes),
      ]),
    );
  }
  console.log('');
}

function figure(value: number): string {
  if (value >= 1000) return value.toFixed(0);
  return value < 0.01 ? value.toFixed(4) : value.toPrecision(3);
}
