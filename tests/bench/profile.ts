/**
 * Where a training step's time goes on WebGPU: by kind of kernel, by program, and the dearest layers and dispatches.
 *
 *     npm run bench -- profile [--size 224] [--steps 3] [--frozen] [--clip] [--json] [NETWORK:BATCH …]
 *
 * By default densenet121:2. The device times every dispatch (`timestamp-query`), medians of some steps; operations and bytes are the
 * kernels' own models. `--frozen` trains the head alone, `--clip` with the gradient's norm clipped.
 */
import { parseArgs } from 'node:util';
import { openEngine } from '../../src/engine/device.ts';
import { summed, type ProfileSum } from '../../src/engine/profile.ts';
import type { ProfileRow } from '../../src/engine/types.ts';
import { parametersOf } from '../../src/graph/parameters.ts';
import { nodeEngineEnvironment } from '../../src/platform/node/engineEnvironment.ts';
import { CLASSES, imagesOf, netOf, valuesOf } from './engine/nets.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: 'string', default: '224' },
    steps: { type: 'string', default: '3' },
    frozen: { type: 'boolean', default: false },
    clip: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const size = Number(options.size);
const engine = await openEngine('webgpu', await nodeEngineEnvironment({ gpu: true }));
for (const which of positionals.length > 0 ? positionals : ['densenet121:2']) {
  const [net = '', batch] = which.split(':');
  await profiled(net, Number(batch));
}
await engine.dispose();
process.exit(0);

async function profiled(net: string, n: number): Promise<void> {
  const graph = netOf(net);
  const weights = new Map(
    parametersOf(graph).map(({ name, shape, kind }) => [name, { shape, data: valuesOf(shape, kind) }]),
  );
  const network = await engine.build(graph, weights, {
    trainable: options.frozen ? 'head' : 'all',
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

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function figure(value: number): string {
  if (value >= 1000) return value.toFixed(0);
  return value < 0.01 ? value.toFixed(4) : value.toPrecision(3);
}
