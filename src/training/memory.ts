import type { AdapterReport, Cuts, Engine, StepBytes, StepShape } from '../engine/types.ts';
import type { Graph } from '../graph/types.ts';
import { optimiserOf, type OptimiserChoice } from './optimiser.ts';
import { precisionOn } from './precision.ts';
import { MIN_PART, type TrainingSettings } from './settings.ts';

const GIB = 2 ** 30;

/**
 * Bytes that training may take: an assumption. WebGPU doesn't tell how much memory there is; 4 GiB is what an integrated GPU of an 8 GiB
 * laptop can give, and a device that has less refuses, upon which a run goes one step further (`lesserFit`). A wasm heap ends at 4 GiB and
 * fragments before.
 */
export function memoryBudget(adapter: AdapterReport): number {
  return adapter.backend === 'wasm' ? 2 * GIB : 4 * GIB;
}

/** How a batch goes through the device. */
export interface Fit {
  /** Images at once: what BatchNorm sees. */
  readonly part: number;
  /** Whether less is kept for the backward pass, and made again: the same numbers to the bit, in more time. */
  readonly recompute: boolean;
}

/** What a run wants to train. */
export interface Wanted {
  readonly graph: Graph;
  readonly size: number;
  readonly batchSize: number;
  readonly training: OptimiserChoice & Pick<TrainingSettings, 'layers' | 'precision'>;
}

type Memories = Pick<Engine, 'adapter' | 'stepBytes'>;

/** The step that goes through the device. */
export function stepOf(
  adapter: AdapterReport,
  { size, batchSize, training }: Wanted,
  { part, recompute }: Fit,
): StepShape {
  return {
    images: Math.min(part, batchSize),
    imageSize: size,
    trainable: training.layers,
    optimiser: optimiserOf(training),
    recompute,
    precision: precisionOn(adapter, training),
  };
}

/** What a step takes. */
export function bytesOf(engine: Memories, wanted: Wanted, fit: Fit, cuts: Cuts | null = null): StepBytes {
  return engine.stepBytes(wanted.graph, { ...stepOf(engine.adapter, wanted, fit), cuts });
}

/** Whether a step that takes so much fits into the budget and the adapter's limits. */
export function fits(adapter: AdapterReport, { total, binding, buffer }: StepBytes): boolean {
  const { limits } = adapter;
  return (
    total <= memoryBudget(adapter) &&
    binding <= (limits['maxStorageBufferBindingSize'] ?? Infinity) &&
    buffer <= (limits['maxBufferSize'] ?? Infinity)
  );
}

/**
 * How a batch goes through: whole; whole with recomputation; in the fewest even parts that fit, 8 images at least, which BatchNorm then
 * sees. Recomputation is for what doesn't fit without. `part`, of a checkpoint or the settings, is taken as it is.
 */
export function planFit(engine: Memories, wanted: Wanted, part: number | null = null): Fit {
  const { batchSize } = wanted;
  const way = (images: number): Fit | undefined =>
    [false, true]
      .map((recompute) => ({ part: images, recompute }))
      .find((fit) => fits(engine.adapter, bytesOf(engine, wanted, fit)));
  const partOf = (parts: number): number => Math.max(MIN_PART, Math.ceil(batchSize / parts));
  let images = part ?? batchSize;
  if (part === null && batchSize > MIN_PART && !way(batchSize)) {
    // Halving the range: to look at one takes a tenth of a second, and a batch may have a hundred parts.
    let tooFew = 1;
    let enough = Math.ceil(batchSize / MIN_PART);
    while (enough - tooFew > 1) {
      const parts = (tooFew + enough) >> 1;
      if (way(partOf(parts))) enough = parts;
      else tooFew = parts;
    }
    images = partOf(enough);
  }
  // What fits in no way is tried in the one that takes least: the device has the last word.
  return way(images) ?? { part: images, recompute: recomputes(engine, wanted, images) };
}

/** The next step after one that the device refused: recomputation, then halves of the part; null: there is none. */
export function lesserFit(engine: Memories, wanted: Wanted, { part, recompute }: Fit): Fit | null {
  if (!recompute && recomputes(engine, wanted, part)) return { part, recompute: true };
  const images = Math.min(part, wanted.batchSize);
  const half = Math.ceil(images / 2);
  return half >= MIN_PART && half < images ? { part: half, recompute } : null;
}

/** Whether less memory is taken by making things again; the reference engine can't. */
function recomputes(engine: Memories, wanted: Wanted, part: number): boolean {
  const total = (recompute: boolean): number => bytesOf(engine, wanted, { part, recompute }).total;
  return total(true) < total(false);
}
