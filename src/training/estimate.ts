import { architectureNames, type ArchitectureName } from '../architectures/settings.ts';
import type { Engine, LabelledBatch } from '../engine/types.ts';
import { countsOf } from '../graph/counts.ts';
import type { Graph, Weights } from '../graph/types.ts';
import { networkOptions } from './attempt.ts';
import { splitBatch } from './batches.ts';
import type { Control } from './control.ts';
import type { TrainingOption } from './events.ts';
import { memoryBudget, planPart, stepBytes } from './memory.ts';
import type { RunConfig } from './types.ts';

export interface EstimateInputs {
  readonly config: RunConfig;
  readonly counts: { readonly train: number; readonly val: number; readonly test: number };
  readonly classes: number;
  readonly engine: Engine;
  graphFor(architecture: ArchitectureName): Graph;
  /** Any weights: how long a step takes doesn't depend on them. */
  weightsFor(graph: Graph): Promise<Weights> | Weights;
  readonly control: Control;
  readonly progress: (done: number, total: number) => void;
}

interface Way {
  readonly architecture: ArchitectureName;
  readonly layers: 'all' | 'head';
}

/** Measuring ends after this, s; what is left is scaled from what was measured. */
const BUDGET = 15;
/** For each way, s; a way whose first step takes longer is timed by that one. */
const PER_WAY = 3;

/**
 * How long each sensible way to train would take here: all layers and head only of the chosen backbone, and all layers of every
 * smaller one. Steps are timed on random pixels; ways that the time doesn't reach are scaled by multiply-adds from the nearest
 * timed one (`measured: false`). Ends early, with what it has, when `control` says stop.
 */
export async function estimate(inputs: EstimateInputs): Promise<TrainingOption[]> {
  const { config, engine, control } = inputs;
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
  const timed: { way: Way; perImage: number }[] = [];
  for (const way of ways) {
    if (timed.length > 0 && performance.now() - started > BUDGET * 1000) break;
    if ((await control.gate()) === 'stop') break;
    inputs.progress(timed.length, ways.length);
    timed.push({ way, perImage: await secondsPerImage(way, inputs) });
  }
  return ways.flatMap((way) => {
    const own = timed.find((one) => one.way === way);
    const near = own ?? timed.at(-1);
    if (near === undefined) return [];
    const perImage = own ? own.perImage : (near.perImage * cost(way)) / cost(near.way);
    return [option(way, perImage, own !== undefined, inputs, engine)];
  });
}

async function secondsPerImage(way: Way, { config, engine, control, ...inputs }: EstimateInputs): Promise<number> {
  const graph = inputs.graphFor(way.architecture);
  const { img_size: size, batch_size: batchSize } = config.data;
  const settings = { ...config, training: { ...config.training, layers: way.layers } };
  const part = planPart(graph, size, batchSize, settings.training, engine.adapter);
  const network = await engine.build(graph, await inputs.weightsFor(graph), networkOptions(graph, settings, part));
  try {
    const time = async (n: number): Promise<number> => {
      const from = performance.now();
      await network.trainStep(splitBatch(noise(n, size, inputs.classes), part), 1e-5);
      return (performance.now() - from) / 1000 / n;
    };
    // The first steps compile and warm up: bigger and bigger ones follow for as long as there is time, and the quickest counts.
    let best = Infinity;
    let spent = 0;
    let n = Math.min(batchSize, 2);
    for (let step = 0; step < 8 && (spent < PER_WAY || step === 0); step++) {
      const perImage = await time(n);
      best = Math.min(best, perImage);
      spent += perImage * n;
      // No step that would take longer than all the time for this way.
      n = Math.max(1, Math.min(batchSize, 2 * n, Math.floor(PER_WAY / best)));
      if ((await control.gate()) === 'stop') break;
    }
    return best;
  } finally {
    network.dispose();
  }
}

function option(
  { architecture, layers }: Way,
  perImage: number,
  measured: boolean,
  { config, counts, graphFor }: EstimateInputs,
  engine: Engine,
): TrainingOption {
  const { img_size: size, batch_size: batchSize } = config.data;
  const graph = graphFor(architecture);
  const training = { ...config.training, layers };
  const batchnormBatch = Math.min(batchSize, planPart(graph, size, batchSize, training, engine.adapter));
  const peakBytes = stepBytes(graph, size, batchnormBatch, training);
  // A forward pass is a third of a step that trains everything, and nearly all of one that trains the head.
  const forward = layers === 'all' ? perImage / 3 : perImage;
  const seen = config.training.epochs * (counts.train * perImage + counts.val * forward) + counts.test * forward;
  return {
    architecture,
    layers,
    batchSize,
    batchnormBatch,
    secondsPerStep: perImage * batchSize,
    totalSeconds: seen,
    peakBytes,
    fits: peakBytes <= memoryBudget(engine.adapter),
    measured,
  };
}

function noise(n: number, size: number, classes: number): LabelledBatch {
  const images = Float32Array.from({ length: n * size * size * 3 }, (_, i) => Math.sin(i * 12.9898));
  return { images, labels: Int32Array.from({ length: n }, (_, i) => i % classes), n, size };
}
