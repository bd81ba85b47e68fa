import { beforeAll, describe, expect, it } from 'vitest';
import { buildGraph } from '../../../src/architectures/index.ts';
import type { Call } from '../../../src/engine/compiled/calls.ts';
import type { DeviceTraits, Kernel, KernelTable } from '../../../src/engine/compiled/kernels.ts';
import type { Matrix, Memory } from '../../../src/engine/compiled/memory.ts';
import { memoriesOf } from '../../../src/engine/compiled/plan/memoriesOf.ts';
import { trainingPlan } from '../../../src/engine/compiled/plan/training.ts';
import { wgslKernels } from '../../../src/engine/compiled/wgsl/kernels.ts';
import type { Graph } from '../../../src/graph/types.ts';
import { random } from '../../../src/random.ts';
import { float16Value, fromFloat16, toFloat16 } from '../../../src/weights/float16.ts';
import { graphsByHand } from '../../unit/support/graphsByHand.ts';
import { runTwice } from './support/repeated.ts';
import { openBench, runCalls, type Bench } from './support/runCalls.ts';
import { scene } from './support/scene.ts';

/**
 * Kernels whose maps are float16: each, as a plan gives it, beside itself on float32 memory with the same, rounded numbers. What it does
 * with float32 is tested against definitions elsewhere.
 */
let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});

/** Lavapipe takes seconds to compile a kernel: by default one of those that differ in nothing that has to do with what memory is of. */
const everything = process.env['PACERID_ALL_TILES'] !== undefined;
const alike = (programs: string): string =>
  everything ? programs : programs.replace(/-?(norm|relu|hardswish|biasBeside|lanes8|lanes16)|-\d(?=-)/g, '');

const devices: readonly (readonly [string, DeviceTraits, readonly Graph[]])[] = [
  [
    'a software adapter',
    { software: true, subgroups: true },
    [
      ...Object.values(graphsByHand),
      ...(['densenet121', 'resnet50', 'mobilenet_v3_small', 'tiny'] as const).map((name) => buildGraph(name, 5)),
    ],
  ],
  [
    'any GPU',
    { software: false, subgroups: false },
    everything
      ? [...Object.values(graphsByHand), buildGraph('mobilenet_v3_small', 5)]
      : [graphsByHand['a norm whose value is read with and without activation']!],
  ],
];

/** One call for each set of programs, on maps of odd sizes: three images of 13 px, where an architecture takes so few. */
function callsOf(kernels: KernelTable, graphs: readonly Graph[]): Map<string, Call> {
  const found = new Map<string, Call>();
  for (const graph of graphs) {
    const imageSize = graph.nodes.length < 100 ? 13 : 45;
    const plan = trainingPlan(graph, kernels, {
      images: 3,
      imageSize,
      trainable: 'all',
      recompute: false,
      precision: 'float16',
    });
    for (const { call, scratch } of plan.calls) {
      if (![...memoriesOf(call)].some(({ element }) => element === 'f16')) continue;
      const programs = (kernels[call.kind] as Kernel<Call>)
        .dispatches(call, scratch)
        .map(({ program }) => program.name);
      const key = alike(programs.join(' '));
      // The smallest of them.
      if (!found.has(key) || sizeOf(call) < sizeOf(found.get(key)!)) found.set(key, call);
    }
  }
  return found;
}

const sizeOf = (call: Call): number => [...memoriesOf(call)].reduce((sum, { floats }) => sum + floats, 0);

/** The call with float32 in place of float16, and which memory stands for which. */
function widened(call: Call): { call: Call; twins: Map<Memory, Memory> } {
  const twins = new Map([...memoriesOf(call)].map((memory) => [memory, { ...memory, element: 'f32' } as Memory]));
  const copy = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    return (
      twins.get(value as Memory) ?? Object.fromEntries(Object.entries(value).map(([name, part]) => [name, copy(part)]))
    );
  };
  const copied = Object.fromEntries(Object.entries(call).map(([name, part]) => [name, copy(part)]));
  return { call: copied as unknown as Call, twins };
}

/** Sums of what is written as float16: of the rounded numbers. */
function sumsOf(call: Call): Matrix | null {
  if (call.kind === 'activationBackward') return call.out ? (call.sums?.matrix ?? null) : null;
  if ('statistics' in call) return call.statistics?.matrix ?? null;
  return 'epilogue' in call ? (call.epilogue?.sums.matrix ?? null) : null;
}

describe.each(devices)('float16 maps on %s', (_, traits, graphs) => {
  const kernels = wgslKernels(traits);
  const calls = callsOf(kernels, graphs);

  it.each([...calls].map(([key, call]) => [`${call.kind}: ${key}`, call] as const))('%s', async (_name, call) => {
    const { uniform } = random(7, 1);
    const contents = new Map<Memory, Float32Array>();
    for (const memory of memoriesOf(call)) {
      const values = Float32Array.from({ length: Math.ceil(memory.floats / 4) * 4 }, () => uniform() * 4 - 2);
      contents.set(memory, memory.element === 'f16' ? fromFloat16(toFloat16(values)) : values);
    }
    const { call: wide, twins } = widened(call);
    const memories = [...memoriesOf(call)];
    const half = await runTwice(bench, kernels, [call], contents, memories);
    const full = await runCalls(
      bench,
      kernels,
      [wide],
      new Map([...contents].map(([memory, values]) => [twins.get(memory)!, values])),
      memories.map((memory) => twins.get(memory)!),
    );
    const sums = sumsOf(call);
    let written = 0;
    for (const [i, memory] of memories.entries()) {
      const [found, expected] = [half[i]!, full[i]!];
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const wrong: string[] = [];
      for (let at = 0; at < memory.floats; at++) {
        if (expected[at] !== contents.get(memory)![at]) written++;
        // Half a unit in the last place of eleven bits, and what float32 may be off before it is rounded; sums are of rounded numbers.
        const bound =
          memory.element === 'f16'
            ? Math.abs(expected[at]!) * 2 ** -11 * 1.01 + 2 ** -25 + largest * 2 ** -22
            : memory === sums
              ? largest * 2 ** -10
              : 0;
        if (!(Math.abs(found[at]! - expected[at]!) <= bound)) wrong.push(`${at}: ${found[at]} for ${expected[at]}`);
      }
      expect(wrong.slice(0, 5), memory.name).toEqual([]);
    }
    expect(written).toBeGreaterThan(0);
  });
});

describe('what float16 cannot hold', () => {
  const run = async (values: readonly number[]): Promise<number[]> => {
    const s = scene(1);
    const view = s.given('x', values.length / 4, 4, (row, c) => values[4 * row + c]!);
    const out = s.view('out', values.length / 4, 4, { before: 0, after: 0 });
    const half = { ...out, matrix: { ...out.matrix, element: 'f16' } as Matrix };
    const source = { view, norm: null, activation: 'none', factor: null } as const;
    const common = { node: 'n', images: 1, pixels: values.length / 4, source, accumulate: false } as const;
    const kernels = wgslKernels({ software: true, subgroups: true });
    const [found] = await runCalls(bench, kernels, [{ kind: 'materialise', ...common, out: half }], s.contents, [
      half.matrix,
    ]);
    return [...found!];
  };
  it('is infinite beyond 65,504, so that a step sees that its gradients were too large', async () => {
    expect(await run([65504, -65504, 65519, 65521, 1e6, -7e4, 3e38, Infinity])).toEqual([
      ...[65504, -65504, 65504, Infinity],
      ...[Infinity, -Infinity, Infinity, Infinity],
    ]);
  });
  it('is what is nearest where it is small, down to 2^−24', async () => {
    expect(await run([2 ** -24, 2 ** -14, 3 * 2 ** -16, 0.1])).toEqual([
      ...[2 ** -24, 2 ** -14, 3 * 2 ** -16, float16Value(toFloat16(Float32Array.of(0.1))[0]!)],
    ]);
  });
});
