import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeAdapter, requestAdapter } from '../../../src/engine/adapter.ts';
import { DeviceLostError } from '../../../src/engine/errors.ts';
import { createPipelines, type Pipelines } from '../../../src/engine/compiled/device/pipelines.ts';
import { compiledNetworks, traitsOf } from '../../../src/engine/compiled/engine.ts';
import type { DeviceTraits } from '../../../src/engine/compiled/kernels.ts';
import { trainingPlan } from '../../../src/engine/compiled/plan/training.ts';
import { candidatesOf } from '../../../src/engine/compiled/tuning/cuts.ts';
import { contestsOf } from '../../../src/engine/compiled/tuning/products.ts';
import { cutsFor, cutsInMemory, deviceKey } from '../../../src/engine/compiled/tuning/stored.ts';
import { tuned } from '../../../src/engine/compiled/tuning/tune.ts';
import { tiles } from '../../../src/engine/compiled/wgsl/gemmTiles.ts';
import { wgslKernels } from '../../../src/engine/compiled/wgsl/kernels.ts';
import { createEngine } from '../../../src/engine/reference/engine.ts';
import { createHost } from '../../../src/engine/reference/host.ts';
import { openWebGpu } from '../../../src/engine/reference/webgpuBackend.ts';
import type { Cuts, Engine, LabelledBatch, NetworkOptions } from '../../../src/engine/types.ts';
import { graphBuilder } from '../../../src/graph/builder.ts';
import type { Graph, Weights } from '../../../src/graph/types.ts';
import { nodeEngineEnvironment } from '../../../src/platform/node/engineEnvironment.ts';
import { formulaWeights, signed } from '../../unit/support/formulaWeights.ts';

/** The search on an adapter on which no run does it by itself; of tiles that it compiles in no time. */
const tried = [tiles.lanes8, tiles.lanes16];
const STEP = { images: 6, imageSize: 20, trainable: 'all', recompute: false } as const;
const options: NetworkOptions = {
  trainable: 'all',
  optimiser: { kind: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 0 },
  clipNorm: null,
  batchNormMomentum: null,
  seed: 1,
};

let engine: Engine;
let device: GPUDevice;
let traits: DeviceTraits;
let uncaptured: string | null = null;
const graph = smallGraph();
beforeAll(async () => {
  const adapter = (await requestAdapter(await nodeEngineEnvironment({ gpu: true })))!;
  const open = { ...(await openWebGpu(adapter)), inPlace: null };
  device = open.device!;
  device.addEventListener('uncapturederror', (event) => {
    uncaptured ??= (event as GPUUncapturedErrorEvent).error.message;
  });
  const report = describeAdapter(adapter, null);
  traits = traitsOf(device, report.software);
  engine = createEngine(report, open, compiledNetworks(device, report));
});
afterAll(() => engine.dispose());

function smallGraph(): Graph {
  const net = graphBuilder();
  let x = net.input('input', 3);
  x = net.conv2d('0.conv', x, 20, { kernel: 3, stride: 1 });
  x = net.batchNorm2d('0.norm', x);
  x = net.activation('0.relu', x, 'relu');
  x = net.conv2d('1.conv', x, 36, { kernel: 3, stride: 2 });
  x = net.batchNorm2d('1.norm', x);
  const features = x;
  net.linear('head', net.flatten('flatten', net.globalAvgPool('pool', features)), 5);
  return net.finish({ architecture: 'small', classes: 5, head: 'head', features });
}

const contests = () => {
  const kernels = wgslKernels(traits);
  const { calls } = trainingPlan(graph, kernels, STEP);
  return contestsOf(calls, (call) => kernels[call.kind].cost(call as never).flops);
};

async function trained(cuts: Cuts | null): Promise<{ losses: number[]; weights: Weights }> {
  const network = await engine.build(graph, formulaWeights(graph), { ...options, cuts });
  const losses: number[] = [];
  for (let step = 0; step < 3; step++) {
    const { images: n, imageSize: size } = STEP;
    const images = Float32Array.from(signed(`images ${step}`, n * size * size * 3));
    const batch: LabelledBatch = { images, n, size, labels: Int32Array.from({ length: n }, (_, i) => (i + step) % 5) };
    losses.push((await network.trainStep([batch], 0.05)).loss);
  }
  const weights = await network.readWeights();
  network.dispose();
  return { losses, weights };
}

function bits(weights: Weights): string {
  return [...weights].map(([name, { data }]) => `${name} ${Buffer.from(data.buffer).toString('base64')}`).join('\n');
}

/** What is handed to the device meanwhile. */
async function submits(work: () => Promise<unknown>): Promise<number> {
  const { queue } = device;
  const submit = queue.submit.bind(queue);
  let count = 0;
  Object.defineProperty(queue, 'submit', {
    configurable: true,
    value: (buffers: Iterable<GPUCommandBuffer>) => {
      count++;
      submit(buffers);
    },
  });
  try {
    await work();
  } finally {
    Object.defineProperty(queue, 'submit', { configurable: true, value: submit });
  }
  return count;
}

describe('the choice of cuts', () => {
  it('has a cut, or the default, for each class of products of the step, and says how far it is', async () => {
    const told: [number, number][] = [];
    const pipelines = createPipelines(device);
    const found = await tuned(device, pipelines, traits, graph, STEP, {
      tried,
      budget: 20_000,
      tell: (...counts) => told.push(counts),
    });
    const classes = contests();
    expect(new Set(Object.keys(found))).toEqual(new Set(classes.map(({ key }) => key)));
    for (const { key, shape } of classes) expect([null, ...candidatesOf(shape, tried)]).toContain(found[key]);
    expect(told[0]![0]).toBe(0);
    expect(told.at(-1)![0]).toBe(told.at(-1)![1]);
    expect(uncaptured).toBeNull();
    // Those that have lost are given back.
    const lost = ['lanes8', 'lanes16'].filter((name) => !JSON.stringify(found).includes(name));
    expect(pipelines.made).toBeLessThan(lost.length > 0 ? 3 * classes.length : 4 * classes.length);
  });

  it('is made of float16’s kernels where a step has its maps in float16', async () => {
    const pipelines = createPipelines(device);
    const asked: string[] = [];
    const listening: Pipelines = {
      ...pipelines,
      get: (program) => {
        asked.push(program.code);
        return pipelines.get(program);
      },
    };
    const half = { ...STEP, precision: 'float16' } as const;
    const found = await tuned(device, listening, traits, graph, half, { tried, budget: 20_000 });
    expect(new Set(Object.keys(found))).toEqual(new Set(contests().map(({ key }) => key)));
    expect(asked.filter((code) => code.includes('f16')).length).toBeGreaterThan(asked.length / 2);
    expect(uncaptured).toBeNull();
  });

  it('goes by the clock where the device has no timestamps', async () => {
    const adapter = (await requestAdapter(await nodeEngineEnvironment({ gpu: true })))!;
    const without = await adapter.requestDevice({ requiredFeatures: ['subgroups'] });
    const found = await tuned(without, createPipelines(without), traits, graph, STEP, { tried, budget: 20_000 });
    expect(Object.keys(found)).toHaveLength(contests().length);
    without.destroy();
  });

  it('leaves out what the device refuses, and nobody else hears of it', async () => {
    const all = createPipelines(device);
    const refusing: Pipelines = {
      ...all,
      get: ({ name, code }) => all.get({ name, code: name.includes('lanes8') ? `${code} }` : code }),
    };
    const found = await tuned(device, refusing, traits, graph, STEP, { tried, budget: 20_000 });
    expect(Object.keys(found)).toHaveLength(contests().length);
    expect(JSON.stringify(found)).not.toContain('lanes8');
    // Where the default itself is refused nothing is concluded: its network says why.
    const none: Pipelines = { ...all, get: ({ name }) => Promise.reject(new Error(name)) };
    const nothing = await tuned(device, none, traits, graph, STEP, { tried });
    expect(Object.keys(nothing).length).toBeLessThan(contests().length / 2);
    expect(uncaptured).toBeNull();
  });

  it('asks nothing of the device where it is known: stored of this device, or recorded by a run that began on it', async () => {
    const store = cutsInMemory();
    const choose = async (recorded: Cuts | null = null, signal = new AbortController().signal) => {
      let cuts: Cuts | null = null;
      const count = await submits(async () => {
        const given = { tried, store, recorded, signal, budget: 20_000 };
        cuts = await cutsFor(device, createPipelines(device), traits, graph, STEP, given);
      });
      return { count, cuts: cuts! as Cuts };
    };
    const stopped = await choose(null, AbortSignal.abort());
    expect(stopped.count).toBe(0);
    // Where there is but one way nothing need be measured.
    expect(new Set(Object.values(stopped.cuts.chosen))).toEqual(new Set([null]));
    expect(Object.keys(stopped.cuts.chosen).length).toBeLessThan(contests().length);
    const first = await choose();
    expect(first.count).toBeGreaterThan(0);
    expect(await choose()).toEqual({ count: 0, cuts: first.cuts });
    const recorded: Cuts = { device: deviceKey(device), chosen: { 'conv 32×32×32': 'lanes8' } };
    expect(await choose(recorded)).toEqual({ count: 0, cuts: recorded });
    // Of another device nothing follows for this one.
    expect(await choose({ ...recorded, device: 'another' })).toEqual({ count: 0, cuts: first.cuts });
  });

  it('says nothing of what there was no time for', async () => {
    const found = await tuned(device, createPipelines(device), traits, graph, STEP, { tried, budget: 0 });
    expect(Object.keys(found).length).toBeLessThan(contests().length / 2);
    const stop = new AbortController();
    const tell = (): void => stop.abort();
    const stopped = { tried, tell, signal: stop.signal, budget: 20_000 };
    expect(await tuned(device, createPipelines(device), traits, graph, STEP, stopped)).toEqual(found);
  });

  it('ends where the device is lost, as everything does that is asked of it', async () => {
    const adapter = (await requestAdapter(await nodeEngineEnvironment({ gpu: true })))!;
    const other = await adapter.requestDevice();
    const host = createHost({ name: 'webgpu', device: other });
    // A GPU's tiles: they compile, and nothing of them runs.
    const { tune } = compiledNetworks(other, { software: false }, cutsInMemory());
    const step = { ...STEP, optimiser: options.optimiser };
    const tell = (): void => other.destroy();
    const given = { recorded: null, signal: new AbortController().signal, tell };
    await expect(tune(host, graph, step, given)).rejects.toThrow(DeviceLostError);
  });

  it('is made by no run on a software adapter', async () => {
    const given = { recorded: null, signal: new AbortController().signal, tell: () => undefined };
    const step = { ...STEP, optimiser: options.optimiser };
    expect(await submits(async () => expect(await engine.tune!(graph, step, given)).toBeNull())).toBe(0);
  });
});

describe('a network with cuts', () => {
  it('learns the same within rounding, and to the bit what another one with the same cuts does', async () => {
    const usual = await trained(null);
    // One product in tiles of workgroup memory, which lavapipe takes seconds to compile; the others by eight rows.
    const chosen = Object.fromEntries(
      contests().map(({ key, shape, call }) => {
        const tile = call.kind === 'conv' && call.node === 'head' ? tiles.small : tiles.lanes8;
        return [key, candidatesOf(shape, [tile]).at(-1)!];
      }),
    );
    expect(JSON.stringify(chosen)).toContain('shared');
    const cuts: Cuts = { device: deviceKey(device), chosen };
    const cut = await trained(cuts);
    cut.losses.forEach((loss, i) => expect(Math.abs(loss - usual.losses[i]!)).toBeLessThan(1e-5));
    // More slices of a filter's gradient: other sums. Else nothing of this was looked at.
    expect(bits(cut.weights)).not.toBe(bits(usual.weights));
    const again = await trained(JSON.parse(JSON.stringify(cuts)) as Cuts);
    expect(bits(again.weights)).toBe(bits(cut.weights));
    expect(again.losses).toEqual(cut.losses);
    // Those of another device are nothing to this one.
    expect(bits((await trained({ ...cuts, device: 'another' })).weights)).toBe(bits(usual.weights));
  });
});
