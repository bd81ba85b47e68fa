import { describe, expect, it } from 'vitest';
import { buildGraph } from '../../../src/architectures/index.ts';
import { compiledBytes } from '../../../src/engine/compiled/fit.ts';
import { wgslKernels } from '../../../src/engine/compiled/wgsl/kernels.ts';
import { referenceStepBytes } from '../../../src/engine/reference/stepBytes.ts';
import type { AdapterReport, Backend, Engine } from '../../../src/engine/types.ts';
import type { Graph } from '../../../src/graph/types.ts';
import { bytesOf, fits, lesserFit, planFit, type Fit, type Wanted } from '../../../src/training/memory.ts';
import { config } from './smallRun.ts';

const kernels = wgslKernels({ software: false, subgroups: false });
const GIB = 2 ** 30;
/** Far beyond what is asked for here, unless a test says otherwise. */
const AMPLE = { maxBufferSize: 64 * GIB, maxStorageBufferBindingSize: 64 * GIB };

function adapterWith(backend: Backend, limits: Partial<typeof AMPLE>): AdapterReport {
  const nothing = { vendor: '', architecture: '', description: '', features: [], notice: null };
  return { ...nothing, backend, label: backend, software: false, limits: { ...AMPLE, ...limits } };
}
const compiled = (limits: Partial<typeof AMPLE> = {}): Pick<Engine, 'adapter' | 'stepBytes'> => ({
  adapter: adapterWith('webgpu', limits),
  stepBytes: (graph, step) => compiledBytes(graph, kernels, step),
});
const reference = { adapter: adapterWith('webgpu', {}), stepBytes: referenceStepBytes };

const resnet50 = buildGraph('resnet50', 1000);
function wanted(batchSize: number, graph: Graph = resnet50): Wanted {
  return { graph, size: 224, batchSize, training: { ...config.training, layers: 'all' } };
}

/** All that a run tries, until nothing is left. */
function ladder(engine: Pick<Engine, 'adapter' | 'stepBytes'>, what: Wanted): Fit[] {
  const steps = [planFit(engine, what)];
  for (let next = lesserFit(engine, what, steps[0]!); next !== null; next = lesserFit(engine, what, next)) {
    steps.push(next);
    if (steps.length > 10) break;
  }
  return steps;
}

describe('how a batch goes through', () => {
  it('whole, where it fits', () => {
    expect(planFit(compiled(), wanted(32))).toEqual({ part: 32, recompute: false });
  });

  it('whole with recomputation, where 4 GiB would not do without', () => {
    // 64 images of ResNet50 keep 69 MB each, and 33 with recomputation; weights, gradients and Adam's moments are 0.4 GB.
    expect(planFit(compiled(), wanted(64))).toEqual({ part: 64, recompute: true });
  });

  it('in parts with recomputation, where that is not enough either: the fewest', () => {
    // 0.4 GB and 33 MB for each of 192: 6.8 GB. Half of them: 3.6 GB.
    expect(planFit(compiled(), wanted(192))).toEqual({ part: 96, recompute: true });
    const engine = compiled({ maxBufferSize: 0.4 * GIB });
    const what = wanted(100);
    const sizes = Array.from({ length: 13 }, (_, i) => Math.max(8, Math.ceil(100 / (i + 1))));
    const first = sizes.find((part) => fits(engine.adapter, bytesOf(engine, what, { part, recompute: true })))!;
    expect(first).toBeGreaterThan(8);
    expect(first).toBeLessThan(50);
    expect(planFit(engine, what)).toEqual({ part: first, recompute: true });
  });

  it('in parts without recomputation, where no more than a binding is too large', () => {
    // The stem's output, [64,112,112,64], is 205.5 MB; WebGPU's least limit for a binding is 128 MiB.
    const engine = compiled({ maxStorageBufferBindingSize: 2 ** 27 });
    expect(planFit(engine, wanted(64))).toEqual({ part: 32, recompute: false });
  });

  it('with recomputation, where the arena is more than one buffer can be', () => {
    // 32 images: an arena of 2.2 GB without, of 1.06 GB with it.
    expect(planFit(compiled({ maxBufferSize: 1.1 * GIB }), wanted(32))).toEqual({ part: 32, recompute: true });
    expect(planFit(compiled({ maxBufferSize: 2.2 * GIB }), wanted(32))).toEqual({ part: 32, recompute: false });
  });

  it('in parts of 8, with recomputation, where nothing fits: the device has the last word', () => {
    expect(planFit(compiled({ maxBufferSize: 2 ** 20 }), wanted(100))).toEqual({ part: 8, recompute: true });
    expect(planFit(compiled({ maxBufferSize: 2 ** 20 }), wanted(6))).toEqual({ part: 6, recompute: true });
  });

  it('as the settings or the checkpoint say, where they do', () => {
    expect(planFit(compiled(), wanted(64), 16)).toEqual({ part: 16, recompute: false });
    expect(planFit(compiled(), wanted(192), 192)).toEqual({ part: 192, recompute: true });
    expect(planFit(compiled(), wanted(16), 64)).toEqual({ part: 64, recompute: false });
  });

  it('in parts alone on the reference engine, which recomputes nothing', () => {
    expect(planFit(reference, wanted(32))).toEqual({ part: 16, recompute: false });
  });
});

describe('what comes after a refusal', () => {
  it('recomputation, then halves of the part, 8 at least', () => {
    expect(ladder(compiled(), wanted(32))).toEqual([
      { part: 32, recompute: false },
      { part: 32, recompute: true },
      { part: 16, recompute: true },
      { part: 8, recompute: true },
    ]);
    expect(ladder(compiled(), wanted(12))).toEqual([
      { part: 12, recompute: false },
      { part: 12, recompute: true },
    ]);
  });

  it('halves alone where recomputation changes nothing', () => {
    const parts = (steps: readonly Fit[]): unknown => steps.map(({ part, recompute }) => [part, recompute]);
    expect(parts(ladder(reference, wanted(20)))).toEqual([
      [20, false],
      [10, false],
    ]);
    const headOnly = { ...wanted(16), training: { ...config.training, layers: 'head' as const } };
    expect(parts(ladder(compiled(), headOnly))).toEqual([
      [16, false],
      [8, false],
    ]);
  });
});

it('a step takes what it has by hand: the largest output in a binding, the parameters beside the arena', () => {
  const graph = buildGraph('densenet121', 1000);
  const { total, binding, buffer } = bytesOf(compiled(), wanted(32, graph), { part: 32, recompute: false });
  // conv0 gives [32,112,112,64], and the first dense block's concatenation, [32,56,56,256], is of the same size.
  expect(binding).toBe(32 * 112 * 112 * 64 * 4);
  // torchvision's DenseNet121: 7,978,856 parameters, and two running statistics for each of 41,824 channels, which are kept twice.
  const parameters = 4 * 7_978_856 + 2 * 2 * 41_824;
  expect((total - buffer) / (4 * parameters)).toBeCloseTo(1, 3);
});
