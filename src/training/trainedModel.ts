import { readCheckpoint } from './checkpoint.ts';
import { NoCheckpointError } from './errors.ts';
import { foldRun, type RunState } from './runState.ts';
import type { Checkpoint, RunStore } from './types.ts';

/** What a run has come to: its best weights, and its log. */
export interface TrainedModel {
  readonly checkpoint: Checkpoint;
  readonly run: RunState;
}

/**
 * The best checkpoint with what only the end of the run knows: its configuration (a run may have been made longer after its best epoch)
 * and every epoch (the log may lack its last seconds where a machine was lost; the newest checkpoint doesn't). Throws
 * `NoCheckpointError`.
 */
export async function trainedModel(runs: RunStore, runId: string): Promise<TrainedModel> {
  const record = await runs.read(runId);
  const bytes = await runs.readCheckpoint(runId, 'best');
  if (record === undefined || bytes === undefined) throw new NoCheckpointError();
  const best = readCheckpoint(bytes);
  const latest = record.latestEpoch === record.bestEpoch ? undefined : await runs.readCheckpoint(runId, 'latest');
  const { history } = latest === undefined ? best : readCheckpoint(latest);
  return { checkpoint: { ...best, config: record.config, history }, run: foldRun(await runs.events(runId)) };
}
