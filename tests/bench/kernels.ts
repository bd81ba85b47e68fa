/**
 * The compiled engine's kernels by themselves, medians; convolutions and their gradients against stock tfjs's on the same adapter, in turn.
 *
 *     npm run bench -- kernels [--rounds 3] [--json] [--alone] [PART OF A NAME …]
 *
 * First the product of two 1024 × 1024 matrices, then shapes of DenseNet121 and ResNet50 at 224 px, batch 2. Ours read their input through
 * a norm and ReLU and make statistics or the sums of the norm's gradient beside it; tfjs's do neither. GFLOP/s count what the definition
 * needs. Then of every other kind of call the one of a training step (DenseNet121, batch 2; MobileNetV3-Small, batch 8) that moves most, and
 * the update: GB/s by the kernels' own models. `--alone` leaves tfjs out. On a software adapter the process's processor time stands beside that
 * of products: other programs disturb it less. `compile_ms`: the first run of a kernel's first shape, with the making of its pipeline.
 */
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { STEP_WORDS, type CallOf, type Geometry, type Partials } from '../../src/engine/compiled/calls.ts';
import { worksOf, type Work } from '../../src/engine/compiled/device/commands.ts';
import { createPipelines } from '../../src/engine/compiled/device/pipelines.ts';
import { traitsOf } from '../../src/engine/compiled/engine.ts';
import { kept, matrix, padded, whole, type Source } from '../../src/engine/compiled/memory.ts';
import { costsOf } from '../../src/engine/compiled/plan/compile.ts';
import { flatLayout } from '../../src/engine/compiled/plan/parameters.ts';
import { trainingPlan } from '../../src/engine/compiled/plan/training.ts';
import type { PlannedCall } from '../../src/engine/compiled/plan/types.ts';
import { updateWorks } from '../../src/engine/compiled/updateWorks.ts';
import { wgslKernels } from '../../src/engine/compiled/wgsl/kernels.ts';
import { createOptimiser } from '../../src/engine/reference/optimisers/index.ts';
import { alone, noise } from './engine/alone.ts';
import { openDevice } from './engine/device.ts';
import { netOf } from './engine/nets.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
    alone: { type: 'boolean', default: false },
  },
});

interface Shape {
  readonly side: number;
  readonly kernel: number;
  readonly stride: number;
  readonly from: number;
  readonly to: number;
}
const shape = (kernel: number, from: number, to: number, side: number, stride = 1): Shape => ({
  side,
  kernel,
  stride,
  from,
  to,
});
const shapes: readonly (readonly [net: string, Shape])[] = [
  ['DenseNet121', shape(7, 3, 64, 224, 2)],
  ['DenseNet121', shape(1, 128, 128, 56)],
  ['DenseNet121', shape(3, 128, 32, 56)],
  ['DenseNet121', shape(1, 256, 128, 28)],
  ['DenseNet121', shape(3, 128, 32, 28)],
  ['DenseNet121', shape(1, 640, 128, 14)],
  ['DenseNet121', shape(3, 128, 32, 14)],
  ['DenseNet121', shape(1, 768, 128, 7)],
  ['DenseNet121', shape(3, 128, 32, 7)],
  ['ResNet50', shape(1, 64, 256, 56)],
  ['ResNet50', shape(3, 64, 64, 56)],
  ['ResNet50', shape(3, 128, 128, 56, 2)],
  ['ResNet50', shape(1, 512, 1024, 28, 2)],
  ['ResNet50', shape(3, 256, 256, 14)],
  ['ResNet50', shape(1, 2048, 512, 7)],
  ['ResNet50', shape(3, 512, 512, 7)],
  ['ResNet50', shape(1, 2048, 5, 1)],
];
const BATCH = 2;
const SIDE = 1024;

type Kind = 'conv' | 'convInputGradient' | 'convFilterGradient';
const kinds: Readonly<Record<Kind, string>> = {
  conv: 'forward',
  convInputGradient: 'input gradient',
  convFilterGradient: 'filter gradient',
};

const { device, report } = await openDevice();
const pipelines = createPipelines(device);
const kernels = wgslKernels(traitsOf(device, report.software));
if (!options.json) console.log(report.label);

const wanted = (name: string): boolean => positionals.length === 0 || positionals.some((part) => name.includes(part));
const product = shape(1, SIDE, SIDE, 1);
if (wanted('product')) await compare('product', 'conv', product, SIDE, false);
for (const [net, one] of shapes) {
  for (const kind of Object.keys(kinds) as Kind[]) {
    // Nobody asks for the gradient of the images.
    if (one.from === 3 && kind === 'convInputGradient') continue;
    const name = `${net} ${kinds[kind]} ${one.kernel}×${one.kernel}/${one.stride} ${one.from}→${one.to} @${one.side}`;
    if (wanted(name)) await compare(name, kind, one, BATCH, one.side > 1 && one.from > 3);
  }
}
for (const [net, images] of [
  ['densenet121', 2],
  ['mobilenet_v3_small', 8],
] as const) {
  await measureOthers(net, images);
}
process.exit(0);

/** Of each kind of call that is no product, the one of a training step that moves most memory; and what follows the calls. */
async function measureOthers(net: 'densenet121' | 'mobilenet_v3_small', images: number): Promise<void> {
  const graph = netOf(net);
  const layout = flatLayout(graph, 'all');
  const step = { images, imageSize: 224, trainable: 'all', recompute: false, precision: 'float32' } as const;
  const { calls } = trainingPlan(graph, kernels, step, layout);
  const dearest = new Map<string, { readonly planned: PlannedCall; readonly flops: number; readonly bytes: number }>();
  for (const [i, cost] of costsOf(calls, kernels).entries()) {
    const { kind } = cost.call;
    if (!(kind in kinds) && cost.bytes > (dearest.get(kind)?.bytes ?? -1)) {
      dearest.set(kind, { planned: calls[i]!, flops: cost.flops, bytes: cost.bytes });
    }
  }
  for (const [kind, { planned, flops, bytes }] of dearest) {
    const name = `${net} ${kind} ${planned.call.node}`;
    if (wanted(name)) await measure(name, worksOf(kernels, [planned]), flops, bytes);
  }
  const adam = { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 } as const;
  const slots = ['first', 'second'].map((slot) => kept(slot, layout.trained.floats));
  const [clipped, words] = [1, kept('step', STEP_WORDS.words)];
  for (const work of updateWorks(layout, createOptimiser(adam), slots, words, clipped, false)) {
    const name = `${net} ${work.kind} of ${layout.trained.floats} parameters`;
    if (wanted(name)) await measure(name, [work], work.cost?.flops ?? 0, work.cost?.bytes ?? 0);
  }
}

async function measure(name: string, works: readonly Work[], flops: number, bytes: number): Promise<void> {
  const [before, begun] = [pipelines.made, performance.now()];
  const runs = await alone(device, pipelines, works);
  const run = (): void => runs.submit();
  await timed(run);
  const compileMs = pipelines.made > before ? performance.now() - begun : null;
  const times: Took[] = [];
  for (let round = 0; round < Number(options.rounds); round++) times.push(await timed(run));
  runs.dispose();
  const { ms } = middle(times);
  const program = works[0]!.dispatch.program.name;
  const figures = { ms: round(ms), gbs: round(bytes / ms / 1e6), gflops: round(flops / ms / 1e6) };
  const compiled = compileMs === null ? {} : { compile_ms: round(compileMs) };
  if (options.json) console.log(JSON.stringify({ name, adapter: report.label, program, ...figures, ...compiled }));
  else
    console.log(
      `${name.padEnd(72)} ${ms.toFixed(2)} ms, ${figures.gbs} GB/s${flops > 0 ? `, ${figures.gflops} GFLOP/s` : ''}`,
    );
}

async function compare(name: string, kind: Kind, one: Shape, images: number, fused: boolean): Promise<void> {
  const ours = await runOf(kind, one, images, fused);
  const stock = options.alone ? null : stockOf(kind, one, images);
  const first = await timed(ours.run);
  if (stock) await timed(stock.run);
  const times: { ours: Took[]; stock: Took[] } = { ours: [], stock: [] };
  for (let round = 0; round < Number(options.rounds); round++) {
    times.ours.push(await timed(ours.run));
    if (stock) times.stock.push(await timed(stock.run));
  }
  ours.dispose();
  stock?.dispose();
  const outSide = Math.ceil(one.side / one.stride);
  const flops = 2 * images * outSide ** 2 * one.kernel ** 2 * one.from * one.to;
  const took = { ours: middle(times.ours), stock: stock ? middle(times.stock) : null };
  const figures = ({ ms, processorMs }: Took, prefix = ''): Record<string, number> => ({
    [`${prefix}ms`]: round(ms),
    [`${prefix}gflops`]: round(flops / ms / 1e6),
    ...(report.software ? { [`${prefix}processor_ms`]: round(processorMs) } : {}),
  });
  const row = {
    name,
    adapter: report.label,
    program: ours.program,
    ...figures(took.ours),
    ...(took.stock ? figures(took.stock, 'stock_') : {}),
    ...(ours.fresh ? { compile_ms: round(ours.madeMs + first.ms - took.ours.ms) } : {}),
  };
  if (options.json) {
    console.log(JSON.stringify(row));
    return;
  }
  const text = ({ ms, processorMs }: Took): string =>
    `${ms.toFixed(1)} ms, ${round(flops / ms / 1e6)} GFLOP/s` +
    (report.software ? `, ${round(flops / processorMs / 1e6)} a processor second` : '');
  const ratio = (of: keyof Took): string => `${(took.stock![of] / took.ours[of]).toFixed(1)} ×`;
  const against = took.stock
    ? `; tfjs ${text(took.stock)}: ${ratio('ms')}${report.software ? `, ${ratio('processorMs')}` : ''}`
    : '';
  const compiled = row.compile_ms === undefined ? '' : ` (${ours.program}: compiled in ${row.compile_ms} ms)`;
  console.log(`${name.padEnd(52)} ${text(took.ours)}${against}${compiled}`);
}

interface Run {
  run(): void;
  dispose(): void;
}

async function runOf(
  kind: Kind,
  one: Shape,
  images: number,
  fused: boolean,
): Promise<Run & { program: string; fresh: boolean; madeMs: number }> {
  const [from, to] = [padded(one.from), padded(one.to)];
  const geometry = geometryOf(one, images);
  const input = matrix('input', images * one.side ** 2, from);
  const output = matrix('output', images * geometry.outHeight * geometry.outWidth, to);
  const weights = { memory: kept('weights', one.kernel ** 2 * from * to), offset: 0 };
  const source: Source = {
    view: whole(input),
    norm: fused ? matrix('norm', 4, from) : null,
    activation: fused ? 'relu' : 'none',
    factor: null,
  };
  const base = { node: 'it', ...geometry };
  const partials = (rows: number, channels: number, tileRows: number): Partials => {
    const tiles = Math.ceil(rows / tileRows);
    return { matrix: matrix('partials', 2 * tiles, channels), tiles, tileRows };
  };
  let call: CallOf<Kind>;
  if (kind === 'conv') {
    call = { ...base, kind, source, weight: weights, bias: null, out: whole(output), statistics: null };
    if (fused) call = { ...call, statistics: partials(output.rows, to, kernels.conv.tileRows!(call)) };
  } else if (kind === 'convInputGradient') {
    const out = whole(matrix('gradient', input.rows, from));
    call = { ...base, kind, dy: whole(output), weight: weights, out, accumulate: false, epilogue: null };
    const sums = partials(input.rows, from, kernels.convInputGradient.tileRows!(call));
    if (fused) call = { ...call, epilogue: { source, sums } };
  } else {
    call = { ...base, kind, source, dy: whole(output), gradient: weights };
  }
  const floats = kernels[kind].scratch?.(call as never) ?? 0;
  const works = worksOf(kernels, [{ call, scratch: floats > 0 ? matrix('scratch', 1, floats) : null }]);
  const [before, begun] = [pipelines.made, performance.now()];
  const runs = await alone(device, pipelines, works);
  const madeMs = performance.now() - begun;
  return {
    program: works[0]!.dispatch.program.name,
    fresh: pipelines.made > before,
    madeMs,
    run: () => runs.submit(),
    dispose: () => runs.dispose(),
  };
}

function stockOf(kind: Kind, one: Shape, images: number): Run {
  const { kernel, side, stride, from, to } = one;
  const { outHeight, outWidth, padding } = geometryOf(one, images);
  const inputShape: [number, number, number, number] = [images, side, side, from];
  const filterShape: [number, number, number, number] = [kernel, kernel, from, to];
  const tensor = (of: number[]): tf.Tensor => tf.tensor(noise(tf.util.sizeFromShape(of)), of);
  const inputs = { x: tensor(inputShape), filter: tensor(filterShape), dy: tensor([images, outHeight, outWidth, to]) };
  const [left, right] = [tf.reshape(inputs.x, [-1, from]), tf.reshape(inputs.filter, [-1, to])];
  const attributes = { strides: stride, pad: padding, dataFormat: 'NHWC', dimRoundingMode: undefined };
  const { x, filter, dy } = inputs;
  const results = {
    conv: (): tf.Tensor =>
      one === product ? tf.matMul(left, right) : tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, stride, padding),
    convInputGradient: (): tf.Tensor =>
      tf.engine().runKernel('Conv2DBackpropInput', { dy, filter }, { ...attributes, inputShape } as never),
    convFilterGradient: (): tf.Tensor =>
      tf.engine().runKernel('Conv2DBackpropFilter', { x, dy }, { ...attributes, filterShape } as never),
  };
  return {
    run() {
      tf.dispose(results[kind]());
      // tfjs submits every 15 dispatches, or when somebody waits.
      const backend = tf.backend() as unknown as { endComputePassEncoder(): void; submitQueue(): void };
      backend.endComputePassEncoder();
      backend.submitQueue();
    },
    dispose() {
      tf.dispose([...Object.values(inputs), left, right]);
    },
  };
}

function geometryOf({ side, kernel, stride }: Shape, images: number): Geometry {
  const padding = (kernel - 1) / 2;
  const out = Math.floor((side + 2 * padding - kernel) / stride) + 1;
  return { images, height: side, width: side, outHeight: out, outWidth: out, kernel, stride, padding };
}

interface Took {
  readonly ms: number;
  /** Of all threads of this process. */
  readonly processorMs: number;
}

async function timed(run: () => void): Promise<Took> {
  const [begun, before] = [performance.now(), process.cpuUsage()];
  run();
  await device.queue.onSubmittedWorkDone();
  const { user, system } = process.cpuUsage(before);
  return { ms: performance.now() - begun, processorMs: (user + system) / 1000 };
}

function middle(values: readonly Took[]): Took {
  const of = (key: keyof Took): number => values.map((took) => took[key]).sort((a, b) => a - b)[values.length >> 1]!;
  return { ms: of('ms'), processorMs: of('processorMs') };
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
