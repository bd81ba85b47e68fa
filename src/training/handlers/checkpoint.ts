import type { OptimiserState } from '../../engine/types.ts';
import type { Weights } from '../../graph/types.ts';
import { writeCheckpoint } from '../checkpoint.ts';
import { drawsAfter } from '../draws.ts';
import type { Emit } from '../emit.ts';
import type { Handler } from '../trainer.ts';
import type { Checkpoint, RunRecord, RunStore } from '../types.ts';
import type { Progress } from './metrics.ts';

/** Of epochs that take milliseconds: checkpoints are this far apart at least, ms, and the writing takes no more than a tenth of the time. */
const APART = 2000;
const TIMES_THE_WRITING = 10;

export interface CheckpointKeeper extends Handler {
  /** Writes what an epoch that is over has left unwritten: the best, and the newest. Before a run ends, however it does. */
  flush(): Promise<void>;
  /** Of the best checkpoint that is there or will be. */
  readonly bestEpoch: number | null;
}

/**
 * A checkpoint an epoch: the newest and the best are kept. Attach after `metrics`, which decides what is best. `sparing`: epochs take
 * milliseconds and a checkpoint megabytes; the newest and the best are then held in memory and written every few seconds. What is lost
 * with the process is trained anew by the run that goes on, to the same bits.
 */
export function checkpoints(options: {
  /** Copies, or what never changes. */
  readonly snapshot: () => Promise<{ readonly weights: Weights; readonly optimiser: OptimiserState }>;
  readonly sparing: boolean;
  readonly store: RunStore;
  readonly emit: Emit;
  /** Resolves once all that was emitted is stored. */
  readonly logged: () => Promise<void>;
  readonly progress: Progress;
  readonly record: () => RunRecord;
  readonly saved: (record: RunRecord) => void;
  /** Those that are trained on, indices into the data set. */
  readonly images: readonly number[];
  /** Everything but what the network and the progress know. */
  readonly describe: Pick<
    Checkpoint,
    'architecture' | 'batchNormEps' | 'origin' | 'batchnormBatch' | 'cuts' | 'counts'
  >;
}): CheckpointKeeper {
  let newest: Checkpoint | null = null;
  /** Not written, and another epoch than the newest. */
  let best: Checkpoint | null = null;
  let wrote = performance.now();
  let took = 0;

  const write = async (checkpoint: Checkpoint): Promise<void> => {
    const { epoch, bestEpoch } = checkpoint;
    const bytes = writeCheckpoint(checkpoint);
    // What a resumed run goes on after is in the log, wherever it was cut off; what lies there of later epochs it drops (`foldRun`).
    await options.logged();
    const record = { ...options.record(), latestEpoch: epoch, bestEpoch };
    options.saved(await options.store.writeCheckpoint(record, epoch, bytes));
    options.emit({ type: 'checkpointSaved', epoch, best: bestEpoch === epoch, bytes: bytes.length });
  };
  const flush = async (): Promise<void> => {
    const from = performance.now();
    // The best first, as the newest that it was: the record never points to what isn't there.
    if (best !== null) await write(best);
    best = null;
    if (newest !== null) await write(newest);
    newest = null;
    wrote = performance.now();
    took = wrote - from;
  };

  return {
    flush,
    get bestEpoch() {
      return newest?.bestEpoch ?? options.record().bestEpoch;
    },
    epochEnded: async (epoch) => {
      const { progress } = options;
      const { id, config, dataset, members } = options.record();
      const { weights, optimiser } = await options.snapshot();
      if (progress.bestEpoch === epoch) best = null;
      else if (newest !== null && newest.bestEpoch === newest.epoch) best = newest;
      newest = {
        schema: 1,
        runId: id,
        epoch,
        config,
        dataset,
        ...(members && { members }),
        ...options.describe,
        history: progress.history,
        bestEpoch: progress.bestEpoch,
        ...(progress.temperature !== undefined && { temperature: progress.temperature }),
        weights,
        optimiser,
        ...drawsAfter(config, epoch, optimiser.step, options.images),
      };
      const due = performance.now() - wrote >= Math.max(APART, TIMES_THE_WRITING * took);
      if (!options.sparing || due) await flush();
    },
  };
}
