import type { Network, TrainingBatch } from '../engine/types.ts';
import type { EvaluationReport } from '../evaluation/types.ts';
import type { Attempt } from './inputs.ts';
import { splitBatch, trainingBatches } from './batches.ts';
import { profilingStep } from './profile.ts';
import type { RunConfig } from './types.ts';
import type { Way } from './way.ts';

/** Every step through the whole network: all layers, or the head of `training.cached_views: 0`. */
export function wholeNetwork(
  network: Network,
  partSize: number,
  validate: () => Promise<EvaluationReport>,
  { source, crops, dataset, split, statistics, profile, emit }: Attempt,
  { training, data }: RunConfig,
): Way<TrainingBatch> {
  const images = training.augmentation.enabled ? source : crops;
  const step: Network['trainStep'] = profile
    ? profilingStep(network, emit)
    : (parts, learningRate) => network.trainStep(parts, learningRate);
  return {
    quick: false,
    ahead: network.ahead ?? false,
    batches: (epoch) =>
      trainingBatches(images, dataset.images, split.train, epoch, {
        seed: training.seed,
        batchSize: data.batch_size,
        size: data.img_size,
        augmentation: training.augmentation,
        ...statistics,
      }),
    step: (batch) => step(splitBatch(batch, partSize), training.learning_rate),
    trained: () => network.readWeights(),
    snapshot: async () => ({ weights: await network.readWeights(), optimiser: await network.readOptimiser() }),
    validate,
  };
}
