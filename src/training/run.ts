import { splitWith } from '../dataset/members.ts';
import { sizesOf } from '../dataset/split.ts';
import type { Members } from '../dataset/types.ts';
import { DeviceLostError, GpuError, GpuMemoryError, OutOfMemoryError } from '../engine/errors.ts';
import { reportOf } from '../errors.ts';
import { parametersOf, sizeOf } from '../graph/parameters.ts';
import { attemptRun } from './attempt.ts';
import { batchRanges } from './batches.ts';
import { readCheckpoint } from './checkpoint.ts';
import { otherPixels, refuseOtherDraws } from './draws.ts';
import type { Emit, UntimedEvent } from './emit.ts';
import { DeviceKeepsFailingError, NoTrainingImagesError, StoppedBeforeFirstStepError } from './errors.ts';
import type { Attempt, RunInputs } from './inputs.ts';
import { lossInWords, lossOf } from './loss.ts';
import { createRunLog } from './runLog.ts';
import type { Fit } from './memory.ts';
import { foldRun, type RunState } from './runState.ts';
import type { Checkpoint, RunDataset, RunRecord } from './types.ts';

/** How often a lost device is replaced before the run gives up. */
const MAX_LOSSES = 3;

export function newRun(
  id: string,
  config: RunRecord['config'],
  dataset: RunDataset,
  weightsId: string | null,
  members: Members | null,
  createdAt = Date.now(),
): RunRecord {
  const { name, hash, synthetic, classes } = dataset;
  return {
    schema: 4,
    id,
    createdAt,
    config,
    dataset: { id: dataset.id, name, hash, synthetic, classes },
    weightsId,
    ...(members && { members }),
    state: 'running',
    latestEpoch: null,
    bestEpoch: null,
    storedBytes: 0,
  };
}

/**
 * The whole life of a run: split, device, weights, epochs, a lost device replaced and the run taken up from its checkpoint, the
 * Test split judged once by the best epoch. Ends with `finished` or, throwing the same named error, with `failed`. A suspended run ends as
 * `stopped` with its last whole epoch, and resumed becomes what it would have been, to the bit.
 */
export async function runTraining(inputs: RunInputs): Promise<RunRecord> {
  const { store, dataset } = inputs;
  const { config } = inputs.record;
  const split = splitWith(dataset, config.data, inputs.record.members ?? null);
  const stored = await store.readCheckpoint(inputs.record.id, 'latest');
  let from = stored === undefined ? null : readCheckpoint(stored);
  // Before anything is written: a run that is not gone on with stays as it is.
  if (from !== null) refuseOtherDraws(from, config, split.train);
  let record: RunRecord = { ...inputs.record, state: 'running' };
  /** A run that never came to its first epoch (no weights, no device), or was suspended in it, leaves nothing behind. */
  let begun = record.latestEpoch !== null;
  const log = createRunLog(store, record.id, (event) => {
    begun ||= event.type === 'epochStarted';
    inputs.emit(event);
  });
  const save = async (change: Partial<RunRecord>): Promise<void> => {
    record = { ...record, ...change };
    await store.write(record);
  };
  try {
    // First: what fails from here on can be cleared away by its record.
    await save({});
    if (split.train.length < 2) throw new NoTrainingImagesError(split.train.length);
    const loss = lossOf(config.training, dataset, split.train);
    const stepsPerEpoch = batchRanges(split.train.length, config.data.batch_size).length;
    const known = foldRun(await store.events(record.id));
    let began = known.adapter?.backend ?? null;
    if (known.runId === null) {
      log.emit({
        type: 'runStarted',
        runId: record.id,
        config,
        dataset: { ...record.dataset, counts: sizesOf(split) },
        parameters: parametersOf(inputs.graph)
          .filter((one) => one.trainable)
          .reduce((sum, one) => sum + sizeOf(one.shape), 0),
        epochs: config.training.epochs,
        stepsPerEpoch,
      });
      const text = lossInWords(config.training, loss, dataset.classes);
      if (text !== null) log.emit({ type: 'notice', text });
    }
    if (from !== null || known.runId !== null) log.emit(resumed(from, known));

    const bend = from === null ? null : otherPixels(from, config);
    for (const text of [...(inputs.notices ?? []), ...(bend === null ? [] : [bend])])
      log.emit({ type: 'notice', text });

    // Validation is judged after every epoch. Training without augmentation would fill the memory before it.
    const crops = inputs.cropsFor(split.val);
    let settled: Attempt['settled'] = {
      part: from?.batchnormBatch ?? config.training.batchnorm_batch,
      recompute: null,
    };
    let losses = 0;
    for (;;) {
      const tried: { fit?: Fit; lesser?: () => Fit | null } = {};
      try {
        const reason = await attemptRun({
          ...inputs,
          crops,
          split,
          loss,
          stepsPerEpoch,
          began,
          from,
          settled,
          planned: (fit, lesser) => Object.assign(tried, { fit, lesser }),
          emit: (event) => {
            if (event.type === 'deviceReady') began = event.adapter.backend;
            log.emit(event);
          },
          // Whoever flushes at the end hears of a log that can't be stored: no checkpoint is to be lost for it.
          logged: () => log.flush().catch(() => undefined),
          record: () => record,
          saved: (next) => (record = next),
        });
        log.emit({ type: 'finished', reason, bestEpoch: record.bestEpoch });
        // As with a checkpoint, the log first: of a run that counts as over nothing is missing in it.
        await log.flush();
        await save({ state: reason });
        return record;
      } catch (error) {
        const lesser = refusals.some((refusal) => error instanceof refusal) ? tried.lesser?.() : null;
        if (error instanceof DeviceLostError) {
          losses += 1;
          if (losses > MAX_LOSSES) throw new DeviceKeepsFailingError(losses, error.message, record.latestEpoch);
          log.emit({ type: 'deviceLost', reason: error.message });
        } else if (lesser) {
          sayLesser(lesser, tried.fit, log.emit);
          settled = lesser;
        } else {
          throw error;
        }
        const bytes = await store.readCheckpoint(record.id, 'latest');
        from = bytes === undefined ? null : readCheckpoint(bytes);
        await log.flush().catch(() => undefined);
        log.emit(resumed(from, foldRun(await store.events(record.id))));
      }
    }
  } catch (error) {
    log.emit({ type: 'failed', error: reportOf(error) });
    if (error instanceof StoppedBeforeFirstStepError) begun = false;
    // Where the disk is full these fail too: what counts is the error that ended the run.
    await log.flush().catch(() => undefined);
    if (begun) await save({ state: 'failed' }).catch(() => undefined);
    if (!begun) await store.delete(record.id).catch(() => undefined);
    throw error;
  }
}

/**
 * With the rows of the checkpoint that its log lacks or has otherwise: storage that keeps no order (a bucket) may lose the end of a log,
 * and earlier versions stored an epoch's event after its checkpoint.
 */
function resumed(from: Checkpoint | null, log: RunState): UntimedEvent {
  if (from === null) return { type: 'resumed', fromEpoch: 0 };
  const known = new Map(log.history.map((row) => [row.epoch, JSON.stringify(row)]));
  const missed = from.history.filter((row) => known.get(row.epoch) !== JSON.stringify(row));
  return { type: 'resumed', fromEpoch: from.epoch, ...(missed.length > 0 && { missed }) };
}

/** A device says in these ways that a step is too much for it; an error that nobody caught may mean it. */
const refusals = [GpuMemoryError, GpuError, OutOfMemoryError] as const;

function sayLesser({ part, recompute }: Fit, refused: Fit | undefined, emit: Emit): void {
  if (refused?.part !== part) {
    const reason = `The batch did not fit into the device's memory; it now goes through in parts of ${part} images; BatchNorm sees a part at a time.`;
    emit({ type: 'batchSplit', batchnormBatch: part, reason });
  } else if (recompute) {
    const text =
      "The batch did not fit into the device's memory; some of what a step keeps for its way back is now computed twice instead: steps " +
      'take longer, and the numbers are the same.';
    emit({ type: 'notice', text });
  }
}
