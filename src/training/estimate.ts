import { architectureNames, type ArchitectureName } from '../architectures/settings.ts';
import { GpuMemoryError } from '../engine/errors.ts';
import { createHead } from '../engine/head.ts';
import type { Engine, TrainingBatch } from '../engine/types.ts';
import { countsOf } from '../graph/counts.ts';
import { headOf } from '../graph/head.ts';
import type { Graph, Weights } from '../graph/types.ts';
import { networkOptions } from './attempt.ts';
import { augmentationDraw, drawAugmentation } from './augmentation.ts';
import { splitBatch } from './batches.ts';
import type { Control } from './control.ts';
import type { TrainingOption } from './events.ts';
import { median } from './median.ts';
import { bytesOf, fits, planFit, type Fit, type Wanted } from './memory.ts';
import { precisionOn } from './precision.ts';
import { cachedViews } from './settings.ts';
import type { RunConfig } from './types.ts';

export interface EstimateInputs {
  readonly config: RunConfig;
  readonly counts: { readonly train: number; readonly val: number; readonly test: number };
  readonly classes: number;
  readonly engine: Engine;
  graphFor(architecture: ArchitectureName): Graph;
  /** Any weights: how long a step takes doesn't depend on them. */
  weightsFor(graph: Graph): Promise<Weights> | Weights;
  /** Seconds that a training image took in earlier runs of such a configuration on this device; null: there were none. */
  secondsPerImage(config: RunConfig): Promise<number | null>;
  readonly control: Control;
  readonly progress: (done: number, total: number) => void;
}

interface Way {
  readonly architecture: ArchitectureName;
  readonly layers: 'all' | 'head';
}

/** Seconds an image. */
interface Pace {
  /** Through the network: a whole step, or, for the head, the pass that all of its steps share. */
  readonly network: number;
  /** A step of the head on what it gave; null: its steps go through the network too. */
  readonly head: number | null;
}

/** Measuring ends after this, s; what is left is scaled from what was measured. */
const BUDGET = 15;
/** Short side of what augmentation crops from, in sides of the network's input: as import makes it. */
const CACHED_SIDE = 1.15;
/** For each way, s; a way whose first step takes longer is timed by that one. */
const PER_WAY = 3;

/**
 * How long each sensible way to train would take here: all layers and head only of the chosen backbone, and all layers of every
 * smaller one. Steps are timed on random pixels; ways that the time doesn't reach are scaled by multiply-adds from the nearest
 * timed one (`basis: 'scaled'`); of what an earlier run on this device has told nothing is timed. Ends early, with what it has, when `control` says stop.
 */
export async function estimate(inputs: EstimateInputs): Promise<TrainingOption[]> {
  const { config, control } = inputs;
  const chosen = config.model.architecture;
  const size = config.data.img_size;
  const cost = ({ architecture, layers }: Way): number =>
    countsOf(inputs.graphFor(architecture), size).macs * (layers === 'all' ? 3 : 1);
  const parameters = (name: ArchitectureName): number => countsOf(inputs.graphFor(name), size).parameters;
  const smaller = architectureNames.filter((name) => parameters(name) < parameters(chosen));
  const ways: Way[] = [
    { architecture: chosen, layers: config.training.layers },
    { architecture: chosen, layers: config.training.layers === 'all' ? 'head' : 'all' },
    ...smaller.map((architecture) => ({ architecture, layers: 'all' as const })),
  ];
  const started = performance.now();
  const timed: { way: Way; fit: Fit; pace: Pace; earlier: boolean }[] = [];
  for (const way of ways) {
    const known = await inputs.secondsPerImage(configOf(way, config));
    if (known !== null) {
      timed.push({ way, fit: fitOf(way, inputs), pace: { network: known, head: null }, earlier: true });
      continue;
    }
    if (timed.length > 0 && performance.now() - started > BUDGET * 1000) break;
    if ((await control.gate()) === 'stop') break;
    inputs.progress(timed.length, ways.length);
    const fit = fitOf(way, inputs);
    timed.push({ way, fit, pace: await paceOf(way, fit, inputs), earlier: false });
  }
  return ways.flatMap((way) => {
    const own = timed.find((one) => one.way === way);
    const near = own ?? timed.at(-1);
    if (near === undefined) return [];
    const network = own ? own.pace.network : (near.pace.network * cost(way)) / cost(near.way);
    const head = own ? own.pace.head : passesOf(way, config) > 0 ? secondsOfHead(way, inputs) : null;
    const basis = own === undefined ? 'scaled' : own.earlier ? 'run' : 'timed';
    return [option(way, own?.fit ?? fitOf(way, inputs), { network, head }, basis, inputs)];
  });
}

/** Passes that the run would make for its features; 0: every step goes through the network. */
function passesOf({ layers }: Way, { training }: RunConfig): number {
  return Math.min(cachedViews({ ...training, layers }), training.epochs);
}

/** An image in a step of the head alone, on any features. */
function secondsOfHead(way: Way, { config, graphFor, classes }: EstimateInputs): number {
  const graph = graphFor(way.architecture);
  const { inFeatures, outFeatures } = headOf(graph);
  const weights = new Map([
    [`${graph.head}.weight`, { shape: [outFeatures, inFeatures], data: new Float32Array(outFeatures * inFeatures) }],
    [`${graph.head}.bias`, { shape: [outFeatures], data: new Float32Array(outFeatures) }],
  ]);
  const head = createHead(graph, weights, networkOptions(graph, config, config.data.batch_size));
  const n = config.data.batch_size;
  const features = new Float32Array(n * inFeatures).fill(0.5);
  const labels = Int32Array.from({ length: n }, (_, i) => i % classes);
  let best = Infinity;
  const started = performance.now();
  // The first steps are compiled.
  for (let step = 0; step < 4 || (step < 100 && performance.now() - started < 100); step++) {
    const from = performance.now();
    head.step(features, labels, 1e-5);
    best = Math.min(best, (performance.now() - from) / 1000 / n);
  }
  return best;
}

async function paceOf(way: Way, { part, recompute }: Fit, all: EstimateInputs): Promise<Pace> {
  const { config, engine, control, ...inputs } = all;
  const graph = inputs.graphFor(way.architecture);
  const { batch_size: batchSize } = config.data;
  const settings = { ...config, training: { ...config.training, layers: way.layers } };
  const options = {
    ...networkOptions(graph, settings, part),
    recompute,
    precision: precisionOn(engine.adapter, config.training),
  };
  const network = await engine.build(graph, await inputs.weightsFor(graph), options);
  const once = passesOf(way, config) > 0;
  try {
    const time = async (n: number): Promise<number> => {
      const parts = splitBatch(noise(n, inputs.classes, config), part);
      const from = performance.now();
      if (once) for (const one of parts) await network.features(one);
      else await network.trainStep(parts, 1e-5);
      return (performance.now() - from) / 1000 / n;
    };
    // The first steps compile and warm up: bigger and bigger ones follow for as long as there is time.
    let best = Infinity;
    /** Of the steps of this size, but for its first, which compiles. */
    let same: number[] = [];
    let spent = 0;
    let n = Math.min(batchSize, 2);
    let before = 0;
    for (let step = 0; step < 10 && (spent < PER_WAY || step === 0); step++) {
      const perImage = await time(n).catch((error: unknown) => {
        // More at once than the device has room for: a run goes through in parts, at the pace of the batches that it had room for.
        if (error instanceof GpuMemoryError && best < Infinity) return null;
        throw error;
      });
      if (perImage === null) break;
      same = n === before ? [...same, perImage] : [];
      before = n;
      best = Math.min(best, perImage);
      spent += perImage * n;
      // No step that would take longer than all the time for this way.
      n = Math.max(1, Math.min(batchSize, 2 * n, Math.floor(PER_WAY / best)));
      if ((await control.gate()) === 'stop') break;
    }
    // What else the computer does takes its share of a run, too: the quickest step is none to go by where there are more.
    return { network: same.length > 0 ? median(same) : best, head: once ? secondsOfHead(way, all) : null };
  } finally {
    network.dispose();
  }
}

function option(
  way: Way,
  fit: Fit,
  pace: Pace,
  basis: TrainingOption['basis'],
  inputs: EstimateInputs,
): TrainingOption {
  const { config, counts, engine } = inputs;
  const { architecture, layers } = way;
  const { batch_size: batchSize } = config.data;
  const bytes = bytesOf(engine, wantedOf(way, inputs), fit);
  // A forward pass is a third of a step that trains everything, and nearly all of one that trains the head.
  const forward = layers === 'all' ? pace.network / 3 : pace.network;
  const { epochs } = config.training;
  const perEpoch =
    pace.head === null ? counts.train * pace.network + counts.val * forward : (counts.train + counts.val) * pace.head;
  const once = pace.head === null ? 0 : (passesOf(way, config) * counts.train + counts.val) * forward;
  const seen = once + epochs * perEpoch + counts.test * forward;
  return {
    architecture,
    layers,
    batchSize,
    batchnormBatch: Math.min(batchSize, fit.part),
    secondsPerStep: (pace.head ?? pace.network) * batchSize,
    secondsPerEpoch: perEpoch,
    totalSeconds: seen,
    peakBytes: bytes.total,
    fits: fits(engine.adapter, bytes),
    basis,
  };
}

function configOf({ architecture, layers }: Way, config: RunConfig): RunConfig {
  return { ...config, model: { ...config.model, architecture }, training: { ...config.training, layers } };
}

function wantedOf({ architecture, layers }: Way, { config, graphFor }: EstimateInputs): Wanted {
  const { data, training } = config;
  return {
    graph: graphFor(architecture),
    size: data.img_size,
    batchSize: data.batch_size,
    training: { ...training, layers },
  };
}

/** Asked for once: a plan of a large network takes a tenth of a second and more. */
function fitOf(way: Way, inputs: EstimateInputs): Fit {
  return planFit(inputs.engine, wantedOf(way, inputs), inputs.config.training.batchnorm_batch);
}

/** A batch as a run would make it: with its augmentation, which a small network spends much of its time on. */
function noise(n: number, classes: number, { data, training }: RunConfig): TrainingBatch {
  const size = data.img_size;
  const labels = Int32Array.from({ length: n }, (_, i) => i % classes);
  const { augmentation } = training;
  if (!augmentation.enabled) {
    const images = Float32Array.from({ length: n * size * size * 3 }, (_, i) => ((i * 7919) % 255) / 128 - 1);
    return { images, labels, n, size };
  }
  const side = Math.ceil(CACHED_SIDE * size);
  const picture = {
    width: side,
    height: side,
    data: Uint8Array.from({ length: side * side * 3 }, (_, i) => (i * 7919) % 255),
  };
  const pictures = Array.from(labels, (_, i) => {
    const draw = augmentationDraw(training.seed, 1, i);
    return [picture, drawAugmentation(picture, size, augmentation, draw)] as const;
  });
  return { pictures, labels, n, size, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };
}
