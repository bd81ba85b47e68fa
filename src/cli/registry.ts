import { createHash } from 'node:crypto';
import { diskRunStore, readRecord } from '../platform/node/diskRunStore.ts';
import { nodeFolder } from '../platform/node/folder.ts';
import { versionRegistry, type Candidate, type Registry } from '../registry/registry.ts';
import type { Sha256 } from '../registry/types.ts';
import { NoCheckpointError } from '../training/errors.ts';
import { trainedModel, type TrainedModel } from '../training/trainedModel.ts';
import { NoModelError, UnfinishedModelError } from './errors.ts';

/** Node's own is ten times as fast as the one that runs everywhere. */
export const nodeHash: Sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Whether a word of the command line is the number of a version: `v1.0.0`, `1.0.0`. */
export function namesVersion(word: string): boolean {
  return /^v?\d+\.\d+\.\d+$/.test(word);
}

export function openRegistry(modelsDir: string): Registry {
  return versionRegistry(nodeFolder(modelsDir), nodeHash);
}

/** The model of the completed run in `dir`. Throws `NoModelError`, `UnfinishedModelError`. */
export async function modelIn(dir: string): Promise<TrainedModel> {
  const runs = diskRunStore(dir);
  const [record] = await runs.list();
  if (record === undefined) throw new NoModelError(dir);
  if (record.state !== 'completed')
    throw new UnfinishedModelError(dir, record.latestEpoch, record.config.training.epochs);
  return trainedModel(runs, record.id).catch((error: unknown) => {
    throw error instanceof NoCheckpointError ? new NoModelError(dir) : error;
  });
}

/** What the next version's number depends on; null where `dir` holds no completed run, or none that can be read: it is a suggestion. */
export async function candidateIn(dir: string): Promise<Candidate | null> {
  const record = await readRecord(dir).catch(() => undefined);
  if (record?.state !== 'completed') return null;
  return { architecture: record.config.model.architecture, labels: record.dataset.classes };
}
