import { expect, it } from 'vitest';
import { memoryRunStore } from '../../../src/platform/node/runStore.ts';
import { writeCheckpoint } from '../../../src/training/checkpoint.ts';
import { metricsOf } from '../../../src/training/metricsFile.ts';
import { trainedModel } from '../../../src/training/trainedModel.ts';
import { checkpointOf } from '../registry/support.ts';

it('the best weights, with the settings and the epochs of the whole run, though the log has lost some', async () => {
  const runs = memoryRunStore();
  const best = checkpointOf(1);
  const third = { ...best.history[1]!, epoch: 3, best: false };
  const newest = { ...best, epoch: 3, history: [...best.history, third] };
  const { runId: id, dataset } = best;
  const config = { ...best.config, training: { ...best.config.training, epochs: 77 } };
  const record = { schema: 4, id, createdAt: 0, config, dataset, weightsId: null, storedBytes: 0 } as const;
  const about = { ...record, state: 'completed', bestEpoch: 2 } as const;
  await runs.writeCheckpoint({ ...about, latestEpoch: 2 }, 2, writeCheckpoint(best));
  await runs.writeCheckpoint({ ...about, latestEpoch: 3 }, 3, writeCheckpoint(newest));

  const { checkpoint, run } = await trainedModel(runs, id);
  expect(checkpoint.epoch).toBe(2);
  expect(checkpoint.config.training.epochs).toBe(77);
  expect(metricsOf(checkpoint, run).epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
  await expect(trainedModel(runs, 'another')).rejects.toMatchObject({ name: 'NoCheckpointError' });
});
