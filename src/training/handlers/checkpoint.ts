import type { Network } from '../../engine/types.ts';
import { writeCheckpoint } from '../checkpoint.ts';
import { drawsAfter } from '../draws.ts';
import type { Emit } from '../emit.ts';
import type { Handler } from '../trainer.ts';
import type { Checkpoint, RunRecord, RunStore } from '../types.ts';
import type { Progress } from './metrics.ts';

/** A checkpoint an epoch: the newest and the best are kept. Attach after `metrics`, which decides what is best. */
export function checkpoints(options: {
  readonly network: Network;
  readonly store: RunStore;
  readonly emit: Emit;
  readonly progress: Progress;
  readonly record: () => RunRecord;
  readonly saved: (record: RunRecord) => void;
  /** Those that are trained on, indices into the data set. */
  readonly images: readonly number[];
  /** Everything but what the network and the progress know. */
  readonly describe: Pick<Checkpoint, 'architecture' | 'batchNormEps' | 'origin' | 'batchnormBatch' | 'counts'>;
}): Handler {
  return {
    epochEnded: async (epoch) => {
      const { network, progress, store } = options;
      const before = options.record();
      const best = progress.bestEpoch === epoch;
      const optimiser = await network.readOptimiser();
      const bytes = writeCheckpoint({
        schema: 1,
        runId: before.id,
        epoch,
        config: before.config,
        dataset: before.dataset,
        ...(before.members && { members: before.members }),
        ...options.describe,
        history: progress.history,
        bestEpoch: progress.bestEpoch,
        weights: await network.readWeights(),
        optimiser,
        ...drawsAfter(before.config, epoch, optimiser.step, options.images),
      });
      const record = { ...before, latestEpoch: epoch, bestEpoch: progress.bestEpoch };
      options.saved(await store.writeCheckpoint(record, epoch, bytes));
      options.emit({ type: 'checkpointSaved', epoch, best, bytes: bytes.length });
    },
  };
}
