import type { ImageEntry } from '../dataset/types.ts';
import { createHead } from '../engine/head.ts';
import type { Engine, Network, NetworkOptions } from '../engine/types.ts';
import { report } from '../evaluation/evaluate.ts';
import { normalisedBatch } from '../evaluation/pixels.ts';
import { headOf } from '../graph/head.ts';
import type { Weights } from '../graph/types.ts';
import { turn } from '../turn.ts';
import type { Attempt } from './inputs.ts';
import { batchOf, batchRanges, epochOrder } from './batches.ts';
import { computeFeatures, type Features } from './features.ts';
import { backboneHash, featureSet, type View } from './featureSet.ts';
import { cachedViews } from './settings.ts';
import type { Labelled } from './trainer.ts';
import type { Checkpoint, RunConfig } from './types.ts';
import type { Way } from './way.ts';

export interface FeatureBatch extends Labelled {
  /** `[n, F]`. */
  readonly features: Float32Array;
}

/** Images that go through a backbone at once: few enough that progress is seen and a stop is heard, enough for a GPU to be busy. */
const CHUNK = 16;
/** Images that validation looks at between two turns of the event loop. */
const JUDGED_AT_ONCE = 512;

/** The view that an epoch trains with; its draws are those of epoch 1 + view. */
function viewOf(epoch: number, views: number): number {
  return (epoch - 1) % views;
}

/** Those that the epochs from `first` to `last` train with. */
function viewsOf(first: number, last: number, views: number): number[] {
  const used = new Set<number>();
  for (let epoch = first; epoch <= Math.min(last, first + views - 1); epoch++) used.add(viewOf(epoch, views));
  return [...used].sort((a, b) => a - b);
}

/**
 * The head by itself on what the frozen backbone gives once for each view and for the validation split: `training.cached_views`. `weights`:
 * what the run goes on from; of the backbone they stay what they are. Answers `stopped` and `unfit` as `computeFeatures` does.
 */
export async function cachedHead(
  run: Pick<Attempt, 'source' | 'crops' | 'dataset' | 'split' | 'statistics' | 'features' | 'control' | 'emit'> & {
    readonly config: RunConfig;
    readonly network: Pick<Network, 'graph' | 'features'>;
    readonly engine: Pick<Engine, 'adapter' | 'arithmetic'>;
    readonly weights: Weights;
    readonly optimiser: Checkpoint['optimiser'] | null;
    readonly options: Pick<NetworkOptions, 'optimiser' | 'clipNorm' | 'loss'>;
    readonly firstEpoch: number;
    /** Images that may go through at once. */
    readonly partSize: number;
    readonly gate: () => Promise<'go' | 'stop'>;
  },
): Promise<Way<FeatureBatch> | 'stopped' | 'unfit'> {
  const { config, network, dataset, split, statistics, control, gate } = run;
  const { data, training } = config;
  const { augmentation, seed } = training;
  const size = data.img_size;
  const views = cachedViews(training);
  const used = viewsOf(run.firstEpoch, training.epochs, views);
  const chunk = Math.min(CHUNK, run.partSize);

  const varied = used.map((view): View => ({
    images: split.train,
    drawnAs: augmentation.enabled ? { seed, epoch: 1 + view, settings: augmentation } : null,
  }));
  const asJudged: View = { images: split.val, drawnAs: null };
  const backbone = run.features && {
    graph: network.graph,
    hash: await backboneHash(network.graph, run.weights),
    engine: run.engine,
    statistics,
  };
  /** Commands are heard; what is read ahead for nobody ends. */
  const between = async (): Promise<void> => {
    await turn();
    control.signal.throwIfAborted();
  };
  const computed = await computeFeatures({
    store: run.features,
    wanted: [...varied, asJudged].map((view) => ({
      images: view.images,
      set: backbone && featureSet(view, chunk, dataset, data, backbone),
      batchOf: async (some) => {
        const { drawnAs } = view;
        if (drawnAs === null) return normalisedBatch(await run.crops.read(some, between), size, statistics);
        const settings = { seed, size, augmentation, ...statistics };
        return batchOf(some, { source: run.source, images: dataset.images, epoch: drawnAs.epoch, settings, between });
      },
    })),
    width: headOf(network.graph).inFeatures,
    chunk,
    compute: (batch) => network.features(batch),
    gate,
    progress: (done, total, secondsLeft) => run.emit({ type: 'progress', what: 'features', done, total, secondsLeft }),
  });
  if (computed === 'stopped' || computed === 'unfit') return computed;

  const head = createHead(network.graph, run.weights, run.options);
  if (run.optimiser !== null) head.writeOptimiser(run.optimiser);
  const seen = new Map(used.map((view, i) => [view, computed.features[i] as Features]));
  const judged = computed.features.at(-1) as Features;
  const labelsOf = (some: readonly number[]): number[] =>
    some.map((index) => (dataset.images[index] as ImageEntry).label);
  return {
    quick: true,
    secondsUnread: computed.secondsEach.at(-1) ?? null,
    async *batches(epoch) {
      const order = epochOrder(split.train, seed, epoch);
      const features = seen.get(viewOf(epoch, views)) as Features;
      for (const range of batchRanges(order.length, data.batch_size)) {
        const some = order.slice(...range);
        yield { features: features.of(some), labels: Int32Array.from(labelsOf(some)), n: some.length };
      }
    },
    ahead: false,
    step: ({ features, labels }) => Promise.resolve(head.step(features, labels, training.learning_rate)),
    trained: () => Promise.resolve(head.readWeights()),
    snapshot: () =>
      Promise.resolve({
        weights: new Map([...run.weights, ...head.readWeights()]),
        optimiser: head.readOptimiser(),
      }),
    validate: async () => {
      const classes = dataset.classes.length;
      const logits = new Float32Array(split.val.length * classes);
      for (let from = 0; from < split.val.length; from += JUDGED_AT_ONCE) {
        logits.set(head.logits(judged.of(split.val.slice(from, from + JUDGED_AT_ONCE))), from * classes);
        await gate();
      }
      return report(logits, labelsOf(split.val), dataset.classes, split.val, 'val', 'fit');
    },
  };
}
