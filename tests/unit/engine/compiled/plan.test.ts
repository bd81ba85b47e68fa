import { describe, expect, it } from 'vitest';
import { buildGraph } from '../../../../src/architectures/index.ts';
import { architectureNames, type ArchitectureName } from '../../../../src/architectures/settings.ts';
import { STEP_WORDS, type Call } from '../../../../src/engine/compiled/calls.ts';
import { worksOf } from '../../../../src/engine/compiled/device/commands.ts';
import { compiledBytes } from '../../../../src/engine/compiled/fit.ts';
import type { DeviceTraits, KernelTable } from '../../../../src/engine/compiled/kernels.ts';
import { bytesOf, kept, keptMatrix, type Memory } from '../../../../src/engine/compiled/memory.ts';
import { livesOf } from '../../../../src/engine/compiled/plan/arena.ts';
import { compile, isSupported, type CompileOptions, type Plan } from '../../../../src/engine/compiled/plan/compile.ts';
import { memoriesOf } from '../../../../src/engine/compiled/plan/memoriesOf.ts';
import { flatLayout, type FlatLayout } from '../../../../src/engine/compiled/plan/parameters.ts';
import { wgslKernels } from '../../../../src/engine/compiled/wgsl/kernels.ts';
import { graphBuilder, type GraphBuilder } from '../../../../src/graph/builder.ts';
import type { Graph } from '../../../../src/graph/types.ts';
import { graphsByHand } from '../../support/graphsByHand.ts';

/** Plans of the kernels that users run, without a device: everything here is the same on every machine. */
const traits = {
  'any GPU': { software: false, subgroups: false },
  'a software adapter': { software: true, subgroups: true },
} satisfies Record<string, DeviceTraits>;
const devices = Object.keys(traits) as (keyof typeof traits)[];
const adam = { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 } as const;

const layouts = new Map<string, FlatLayout>();

function planOf(graph: Graph, kernels: KernelTable, options: Partial<CompileOptions>): Plan {
  const { images = 2, trainable = 'all' } = options;
  // It doesn't depend on the batch, and takes longer than all else.
  const key = `${graph.architecture} ${trainable}`;
  let layout = layouts.get(key);
  if (!layout) layouts.set(key, (layout = flatLayout(graph, trainable)));
  return compile(graph, {
    images,
    imageSize: 64,
    mode: 'train',
    trainable,
    recompute: false,
    momentum: null,
    layout,
    traits: kernels,
    step: kept('step', STEP_WORDS.words),
    keptTableOf: (node, channels) => keptMatrix(`${node} table`, 4, channels),
    ...options,
  });
}

/** Pairs of memories that live at the same time and share a byte. */
function overlaps({ calls, arena, input, reduced, output }: Plan): string[] {
  const lives = livesOf(calls, [input, reduced], [output.matrix]).map(({ memory, first, last }) => {
    const begin = arena.offsets.get(memory)!;
    return { memory, first, last, begin, end: begin + bytesOf(memory) };
  });
  const found: string[] = [];
  for (const [i, a] of lives.entries()) {
    if (!(a.end <= arena.bytes)) found.push(`${a.memory.name} has no place`);
    for (const b of lives.slice(i + 1)) {
      const together = a.first <= b.last && b.first <= a.last;
      if (together && a.begin < b.end && b.begin < a.end) found.push(`${a.memory.name} and ${b.memory.name}`);
    }
  }
  return found;
}

/** Reads of arena memory that no call has written before: what lives there would be another's leavings. */
function unwritten({ calls, input, reduced }: Plan): string[] {
  const written = new Set<Memory>([input, reduced]);
  const found: string[] = [];
  for (const { call } of calls) {
    const writes = writtenBy(call);
    const readToo = addedTo(call);
    for (const memory of memoriesOf(call)) {
      if (memory.kind === 'arena' && !written.has(memory) && (!writes.has(memory) || memory === readToo))
        found.push(`${call.kind} of ${call.node}`);
    }
    for (const memory of writes) written.add(memory);
  }
  return found;
}

/** What a call adds to, or changes in place. */
function addedTo(call: Call): Memory | null {
  if (call.kind === 'normBackward') return call.of === 'added' ? call.coefficients.matrix : null;
  if (call.kind === 'normApply' && call.out.matrix === call.dz.matrix) return call.out.matrix;
  return 'accumulate' in call && call.accumulate && call.out ? call.out.matrix : null;
}

function writtenBy(call: Call): Set<Memory> {
  const writes = new Set<Memory>();
  if ('out' in call && call.out) writes.add(call.out.matrix);
  if ('slices' in call && call.slices && call.kind !== 'sliceSums') writes.add(call.slices.memory);
  if ('statistics' in call && call.statistics) writes.add(call.statistics.matrix);
  if ('epilogue' in call && call.epilogue) writes.add(call.epilogue.sums.matrix);
  if (call.kind === 'activationBackward' && call.sums) writes.add(call.sums.matrix);
  if (call.kind === 'statistics') writes.add(call.partials.matrix);
  if (call.kind === 'normTableOfBatch') for (const memory of [call.table, call.moments]) writes.add(memory);
  if (call.kind === 'normBackward') writes.add(call.coefficients.matrix);
  if (call.kind === 'crossEntropy' || call.kind === 'maxPoolBackward' || call.kind === 'avgPoolBackward') {
    writes.add(call.gradient.matrix);
  }
  return writes;
}

/** Dispatches that are given one memory at two bindings, which WebGPU refuses as soon as one of them is written. */
function givenTwice(plan: Plan, kernels: KernelTable): string[] {
  return worksOf(kernels, [...plan.once, ...plan.calls])
    .filter(({ dispatch: { memories } }) => new Set(memories).size < memories.length)
    .map(({ kind, node }) => `${kind} of ${node}`);
}

function dispatches({ calls }: Plan, kernels: KernelTable): number {
  return worksOf(kernels, calls).length;
}

/** Copies of what a kernel could have written where it belongs. */
function copies({ calls }: Plan): string[] {
  return calls.flatMap(({ call }) =>
    call.kind === 'materialise' || call.kind === 'fill' ? [`${call.kind} of ${call.node}`] : [],
  );
}

/** What no call is: the update, four, and what makes the input of pictures, at most six. */
const REST = 10;

/**
 * At 224 px with Adam, batches of 2 to 32: dispatches of a step, most where float16 leaves slices little room to wait in, MB for an image
 * more, MB of all with 32 images.
 */
interface Limits {
  readonly name: ArchitectureName;
  readonly recompute: boolean;
  readonly dispatches: number;
  readonly imageMB: number;
  readonly allMB: number;
  /** The same with maps in float16. */
  readonly halfImageMB: number;
  readonly halfAllMB: number;
}
const limits: Readonly<Record<keyof typeof traits, readonly Limits[]>> = {
  'any GPU': [
    {
      name: 'densenet121',
      recompute: false,
      dispatches: 785,
      imageMB: 29,
      allMB: 1025,
      halfImageMB: 15,
      halfAllMB: 585,
    },
    {
      name: 'densenet121',
      recompute: true,
      dispatches: 850,
      imageMB: 14.5,
      allMB: 560,
      halfImageMB: 7.6,
      halfAllMB: 355,
    },
    {
      name: 'resnet50',
      recompute: false,
      dispatches: 406,
      imageMB: 70,
      allMB: 2580,
      halfImageMB: 35.5,
      halfAllMB: 1500,
    },
    { name: 'resnet50', recompute: true, dispatches: 445, imageMB: 35, allMB: 1450, halfImageMB: 17.5, halfAllMB: 935 },
    {
      name: 'mobilenet_v3_small',
      recompute: false,
      dispatches: 373,
      imageMB: 7,
      allMB: 246,
      halfImageMB: 4,
      halfAllMB: 150,
    },
    {
      name: 'mobilenet_v3_small',
      recompute: true,
      dispatches: 396,
      imageMB: 5.5,
      allMB: 199,
      halfImageMB: 3.3,
      halfAllMB: 128,
    },
  ],
  'a software adapter': [
    {
      name: 'densenet121',
      recompute: false,
      dispatches: 753,
      imageMB: 28.5,
      allMB: 1010,
      halfImageMB: 15,
      halfAllMB: 575,
    },
    {
      name: 'densenet121',
      recompute: true,
      dispatches: 811,
      imageMB: 14.5,
      allMB: 560,
      halfImageMB: 7.6,
      halfAllMB: 355,
    },
    {
      name: 'resnet50',
      recompute: false,
      dispatches: 389,
      imageMB: 70,
      allMB: 2580,
      halfImageMB: 35.5,
      halfAllMB: 1500,
    },
    { name: 'resnet50', recompute: true, dispatches: 425, imageMB: 35, allMB: 1445, halfImageMB: 17.5, halfAllMB: 935 },
    {
      name: 'mobilenet_v3_small',
      recompute: false,
      dispatches: 393,
      imageMB: 7,
      allMB: 246,
      halfImageMB: 4,
      halfAllMB: 150,
    },
    {
      name: 'mobilenet_v3_small',
      recompute: true,
      dispatches: 411,
      imageMB: 5.5,
      allMB: 199,
      halfImageMB: 3.3,
      halfAllMB: 128,
    },
  ],
};

const graphOf = (name: ArchitectureName): Graph => buildGraph(name, 5);

describe.each(devices)('a plan for %s', (which) => {
  const kernels = wgslKernels(traits[which]);

  it.each(architectureNames)('of %s has a place for everything, in little more than must be', (name) => {
    const graph = graphOf(name);
    for (const images of [1, 2, 32]) {
      for (const options of [{}, { recompute: true }, { precision: 'float16' }] as const) {
        const plan = planOf(graph, kernels, { images, ...options, imageSize: 224 });
        expect(overlaps(plan)).toEqual([]);
        // Small batches have maps that are smaller than what is made beside them.
        expect(plan.arena.bytes / plan.leastBytes).toBeLessThan(images < 32 ? 1.15 : 1.03);
      }
    }
  });

  it.each(architectureNames)('of %s writes before it reads, and gives no kernel a memory twice', (name) => {
    const graph = graphOf(name);
    for (const options of [
      {},
      { recompute: true },
      { precision: 'float16' },
      { recompute: true, precision: 'float16' },
      { trainable: 'head' },
      { mode: 'predict' },
      { mode: 'features' },
    ] as const) {
      const plan = planOf(graph, kernels, options);
      expect(unwritten(plan)).toEqual([]);
      expect(givenTwice(plan, kernels)).toEqual([]);
    }
  });

  it.each(Object.entries(graphsByHand))('of %s holds to the same', (_, graph) => {
    const half = { precision: 'float16' } as const;
    for (const options of [{}, { recompute: true }, half, { trainable: 'head' }, { mode: 'predict' }] as const) {
      const plan = planOf(graph, kernels, { ...options, images: 3, imageSize: 13 });
      expect(overlaps(plan)).toEqual([]);
      expect(unwritten(plan)).toEqual([]);
      expect(givenTwice(plan, kernels)).toEqual([]);
    }
  });

  it.each(limits[which])(
    'of $name, recomputing: $recompute, stays within its figures',
    ({ name, recompute, ...most }) => {
      const graph = graphOf(name);
      for (const images of [2, 32]) {
        const plan = planOf(graph, kernels, { images, recompute, imageSize: 224 });
        expect(dispatches(plan, kernels) + REST).toBeLessThanOrEqual(most.dispatches);
      }
      for (const [precision, imageMB, allMB] of [
        ['float32', most.imageMB, most.allMB],
        ['float16', most.halfImageMB, most.halfAllMB],
      ] as const) {
        const step = { imageSize: 224, trainable: 'all', optimiser: adam, recompute, precision } as const;
        const bytes = (images: number): number => compiledBytes(graph, kernels, { images, ...step }).total;
        expect((bytes(32) - bytes(2)) / 30 / 1e6).toBeLessThanOrEqual(imageMB);
        expect(bytes(32) / 1e6).toBeLessThanOrEqual(allMB);
      }
    },
  );

  it.each([{}, { recompute: true }, { mode: 'predict' }] as const)('of densenet121 copies nothing (%o)', (options) => {
    const plan = planOf(graphOf('densenet121'), kernels, options);
    expect(copies(plan)).toEqual([]);
    const blocks = [1, 2, 3, 4].map((block) =>
      plan.calls.flatMap(({ call }) =>
        call.kind === 'conv' && new RegExp(`denseblock${block}\\..*conv2$`).test(call.node) ? [call.out.matrix] : [],
      ),
    );
    // Huang et al. 2017, table 1: layers and, with what came before, channels of each block.
    expect(blocks.map((layers) => layers.length)).toEqual([6, 12, 24, 16]);
    expect(blocks.map((layers) => [...new Set(layers)].map(({ channels }) => channels))).toEqual([
      [256],
      [512],
      [1024],
      [1024],
    ]);
  });
});

describe('slices of filters', () => {
  const kernels = wgslKernels(traits['any GPU']);

  it.each(['densenet121', 'resnet50', 'mobilenet_v3_small'] as const)(
    'of %s are added up once each, several together, where there is room for them',
    (name) => {
      for (const [images, recompute] of [
        [2, false],
        [32, false],
        [32, true],
      ] as const) {
        const plan = planOf(graphOf(name), kernels, { images, recompute, imageSize: 224 });
        const waiting = new Map<string, { end: number; memory: Memory }>();
        let sums = 0;
        let filters = 0;
        for (const { call, scratch } of plan.calls) {
          if ((call.kind === 'convFilterGradient' || call.kind === 'depthwiseFilterGradient') && call.slices) {
            expect(scratch).toBeNull();
            const { gradient, slices } = call;
            const count = kernels[call.kind].slices!(call as never);
            const inputs = call.kind === 'convFilterGradient' ? call.source.view.channels : 1;
            const end = slices.first + count * call.kernel ** 2 * inputs * call.dy.channels;
            waiting.set(`${gradient.offset} ${slices.first}`, { end, memory: slices.memory });
          }
          if (call.kind !== 'sliceSums') continue;
          sums++;
          let from = 0;
          for (const { first, count, floats, gradient } of call.filters) {
            const key = `${gradient.offset} ${first}`;
            expect(waiting.get(key)).toEqual({ end: first + count * floats, memory: call.slices });
            waiting.delete(key);
            // One after the other, none in another's place.
            expect(first).toBe(from);
            from = first + count * floats;
            filters++;
          }
          expect(from).toBe(call.slices.floats);
        }
        expect(waiting.size).toBe(0);
        expect(filters).toBeGreaterThan(0);
        expect(sums).toBeLessThan(filters);
      }
    },
  );
});

describe('what has no kernel', () => {
  it('is said before anything is planned', () => {
    const of = (body: (net: GraphBuilder, x: string) => string, channels = 8): boolean => {
      const net = graphBuilder();
      const features = body(net, net.conv2d('stem', net.input('input', 3), channels, { kernel: 3 }));
      net.linear('head', net.flatten('flatten', net.globalAvgPool('mean', features)), 5);
      return isSupported(net.finish({ architecture: 'it', classes: 5, head: 'head', features }));
    };
    expect(of((_, x) => x)).toBe(true);
    expect(of((net, x) => net.conv2d('depthwise', x, 8, { kernel: 3, groups: 8 }))).toBe(true);
    expect(of((net, x) => net.conv2d('groups', x, 8, { kernel: 3, groups: 2 }))).toBe(false);
    expect(of((net, x) => net.concat('pair', [x, x]))).toBe(true);
    expect(of((net, x) => net.concat('pair', [x, x]), 6)).toBe(false);
    expect(of((net, x) => net.activation('gate', x, 'hardsigmoid'))).toBe(true);
    // Padding would become ½.
    expect(of((net, x) => net.activation('gate', x, 'hardsigmoid'), 6)).toBe(false);
    // torch drops values, not channels.
    expect(of((net, x) => net.dropout('drop', x, 0.5))).toBe(false);
    expect(of((net, x) => net.dropout('drop', x, 0))).toBe(true);
    for (const graph of [...Object.values(graphsByHand), ...architectureNames.map(graphOf)]) {
      expect(isSupported(graph)).toBe(true);
    }
  });
});
