import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { initialWeights } from '../../../src/architectures/initialise.ts';
import { architectures, buildGraph } from '../../../src/architectures/index.ts';
import type { CallOf } from '../../../src/engine/compiled/calls.ts';
import { prepare, worksOf } from '../../../src/engine/compiled/device/commands.ts';
import { createProfiler } from '../../../src/engine/compiled/device/profile.ts';
import { traitsOf } from '../../../src/engine/compiled/engine.ts';
import { matrix, whole } from '../../../src/engine/compiled/memory.ts';
import { wgslKernels } from '../../../src/engine/compiled/wgsl/kernels.ts';
import type { Engine, Network, NetworkOptions } from '../../../src/engine/types.ts';
import { options as adamOptions } from '../../unit/support/engineSuites.ts';
import { openInNode } from '../../unit/support/openInNode.ts';
import { openBench } from './support/runCalls.ts';
import { sameBits } from './support/sameBits.ts';

const graph = buildGraph('tiny', 5);
const options: NetworkOptions = { ...adamOptions, clipNorm: 1, seed: 3 };
const part = (n: number, size = 32) => ({
  images: Float32Array.from({ length: n * size * size * 3 }, (_, i) => Math.sin(i * 1.7) * 2),
  labels: Int32Array.from({ length: n }, (_, i) => i % 5),
  n,
  size,
});

describe('a profiled step', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await openInNode('webgpu');
  });
  afterAll(() => engine.dispose());

  const stateOf = async (network: Network): Promise<Float32Array[]> => [
    ...[...(await network.readWeights()).values()].map(({ data }) => data),
    ...[...(await network.readOptimiser()).moments.values()].map(({ data }) => data),
  ];

  it('is the same step to the bit, with a time for each dispatch', async () => {
    const weights = initialWeights(graph, architectures.tiny, 1);
    const [plain, timed] = [await engine.build(graph, weights, options), await engine.build(graph, weights, options)];
    const parts = [part(3), part(2)];
    for (const network of [plain, timed]) await network.trainStep(parts, 1e-3);
    const expected = await plain.trainStep(parts, 1e-3);
    const { rows, milliseconds, loss, logits } = await timed.profile!(parts, 1e-3);
    expect(loss).toBe(expected.loss);
    sameBits([logits, ...(await stateOf(timed))], [expected.logits, ...(await stateOf(plain))]);

    for (const row of rows) expect(row.milliseconds, row.program).toBeGreaterThanOrEqual(0);
    const sum = rows.reduce((total, row) => total + row.milliseconds, 0);
    expect(sum).toBeGreaterThan(0);
    expect(sum).toBeLessThanOrEqual(2 * milliseconds);
    // Of both parts; the update once.
    const times = (kind: string): number => rows.filter((row) => row.kind === kind).length;
    expect(times('crossEntropy')).toBe(2);
    expect(times('conv')).toBe(2 * graph.nodes.filter(({ op }) => op === 'conv2d' || op === 'linear').length);
    expect(rows.filter(({ node }) => node === 'update').map(({ kind }) => kind)).toEqual([
      'gradientNormSquares',
      'gradientNormClip',
      'optimiserStep-adam-clipped',
      'commitStatistics',
    ]);
    const known = new Set(['input', 'update', ...graph.nodes.map(({ name }) => name)]);
    expect(rows.filter(({ node }) => !known.has(node))).toEqual([]);
    // The first convolution, forward and filter gradient of 5 images: 2 · 5 · 16 · 16 · 9 · 4 · 16 multiply-adds twice, with what is beside them.
    const first = rows.filter(({ node }) => node === graph.nodes[1]!.name).reduce((total, row) => total + row.flops, 0);
    expect(first / (2 * 2 * 5 * 16 * 16 * 9 * 4 * 16)).toBeCloseTo(1, 1);
    plain.dispose();
    timed.dispose();
  });
});

it('more dispatches than a query set has room for are timed all the same', async () => {
  const { device, pipelines, failure } = await openBench();
  const kernels = wgslKernels(traitsOf(device, true));
  const out = whole(matrix('out', 64, 64));
  const buffer = device.createBuffer({ size: out.matrix.floats * 4, usage: GPUBufferUsage.STORAGE });
  const calls = Array.from({ length: 11 }, (_, i): CallOf<'fill'> => ({ kind: 'fill', node: `${i}`, out, value: i }));
  const works = worksOf(
    kernels,
    calls.map((call) => ({ call, scratch: null })),
  );
  const place = { buffer, offset: 0, size: buffer.size };
  const { list } = await prepare(device, pipelines, works, () => place);
  // Four dispatches a set, over two submits.
  const profiler = createProfiler(device, 8);
  for (const [begin, end] of [
    [0, 6],
    [6, 11],
  ] as const) {
    const encoder = device.createCommandEncoder();
    profiler.record(encoder, list, begin, end);
    device.queue.submit([encoder.finish()]);
  }
  const rows = await profiler.rows();
  profiler.dispose();
  expect(rows.map(({ node }) => node)).toEqual(calls.map(({ node }) => node));
  // Software takes its time; a wrong pair of queries would end before it began, or never have begun.
  for (const { milliseconds } of rows) {
    expect(milliseconds).toBeGreaterThanOrEqual(0);
    expect(milliseconds).toBeLessThan(10_000);
  }
  expect(failure()).toBeNull();
});
