import type { Attempt } from './inputs.ts';
import type { Control } from './control.ts';
import { checkpoints } from './handlers/checkpoint.ts';
import { metrics, type Progress } from './handlers/metrics.ts';
import { nanGuard } from './handlers/nanGuard.ts';
import { createPace } from './handlers/pace.ts';
import { unlessSuspended } from './suspended.ts';
import { train, type Labelled } from './trainer.ts';
import type { Checkpoint } from './types.ts';
import type { Way } from './way.ts';

/** All epochs, with everything that attaches to them; null: suspended. Whatever ends them, the best and the newest are kept. */
export async function trainEpochs<Batch extends Labelled>(
  way: Way<Batch>,
  firstEpoch: number,
  gate: Control['gate'],
  attempt: Attempt & { readonly isOver: () => boolean },
  describe: Pick<Checkpoint, 'architecture' | 'batchNormEps' | 'origin' | 'batchnormBatch' | 'cuts' | 'counts'>,
): Promise<'completed' | 'stopped' | null> {
  const { emit, logged, from, split, store, stepsPerEpoch, record, saved } = attempt;
  const { training, data } = record().config;
  const progress: Progress = {
    history: [...(from?.history ?? [])],
    bestEpoch: from?.bestEpoch ?? null,
    temperature: undefined,
  };
  const { snapshot } = way;
  const { quick: sparing, secondsUnread } = way;
  const kept = checkpoints({
    snapshot,
    sparing,
    store,
    emit,
    logged,
    progress,
    record,
    saved,
    images: split.train,
    describe,
  });
  const pace = createPace({
    val: split.val.length,
    test: split.test.length,
    batch: data.batch_size,
    ...(secondsUnread !== undefined && { secondsUnread }),
  });
  const epochs = train({
    firstEpoch,
    epochs: training.epochs,
    gate,
    batches: (epoch) => way.batches(epoch),
    step: (batch) => way.step(batch),
    ahead: way.ahead,
    handlers: [
      nanGuard(
        () => way.trained(),
        training.learning_rate,
        () => kept.bestEpoch,
      ),
      metrics({
        emit,
        progress,
        pace,
        classes: attempt.dataset.classes,
        epochs: training.epochs,
        stepsPerEpoch,
        learningRate: training.learning_rate,
        tellEvery: sparing ? 100 : 0,
        validate: split.val.length === 0 ? null : () => way.validate(),
      }),
      kept,
    ],
  });
  try {
    const reason = await unlessSuspended(epochs);
    await kept.flush();
    return reason;
  } catch (error) {
    // What counts is the error that ended the run.
    if (!attempt.isOver()) await kept.flush().catch(() => undefined);
    throw error;
  }
}
