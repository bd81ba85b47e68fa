import { appendFile, readdir, readFile, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointUnreadableError } from '../../training/errors.ts';
import type { RunRecord, RunStore } from '../../training/types.ts';
import { runRecords } from '../runRecords.ts';
import { asWriteError, writeWhole } from './atomicWrite.ts';
import { eventLine, eventsOf } from './runEventText.ts';

export const recordFile = 'run.json';
export const logFile = 'events.ndjson';
const epochOf = (name: string): number | null => {
  const found = /^checkpoint_(\d+)\.safetensors$/.exec(name);
  return found === null ? null : Number(found[1]);
};

export function checkpointFile(which: number | 'latest' | 'best'): string {
  return `checkpoint_${which}.safetensors`;
}

/**
 * One run in one folder: `run.json` (its record), `events.ndjson` (its log), `checkpoint_<epoch>.safetensors`, and whole copies of two of
 * them, `checkpoint_latest` and `checkpoint_best`. A checkpoint is on the disk before the record points to it, the copies follow:
 * a kill at any moment leaves a record whose checkpoints are whole, and `repairRunFolder` puts the copies right. The writer holds
 * the folder's lock (`lockFolder`).
 */
export function diskRunStore(dir: string): RunStore {
  const at = (name: string): string => join(dir, name);
  const current = async (id: string): Promise<RunRecord | undefined> => {
    const record = await readRecord(dir);
    return record?.id === id ? record : undefined;
  };
  const writeRecord = (record: RunRecord): Promise<void> =>
    writeWhole(at(recordFile), `${JSON.stringify(record, null, 2)}\n`);

  return {
    list: async () => {
      const record = await readRecord(dir);
      return record === undefined ? [] : [record];
    },
    read: current,
    write: writeRecord,
    events: async (id) => {
      if ((await current(id)) === undefined) return [];
      return eventsOf(wholeLines((await readIfThere(at(logFile)))?.toString('utf8') ?? ''));
    },
    appendEvents: async (_, events) => {
      const before = await sizeOf(at(logFile));
      try {
        await appendFile(at(logFile), events.map(eventLine).join(''));
      } catch (error) {
        // Half a line would spoil the next one.
        await truncate(at(logFile), before).catch(() => undefined);
        throw asWriteError(error, at(logFile));
      }
    },
    writeCheckpoint: async (record, epoch, bytes) => {
      await writeWhole(at(checkpointFile(epoch)), bytes);
      const { latestEpoch, bestEpoch } = record;
      const kept = keptEpochs([...(await storedEpochs(dir))], record);
      const sizes = await Promise.all(kept.map((one) => sizeOf(at(checkpointFile(one)))));
      const storedBytes =
        sizes.reduce((sum, size) => sum + size, 0) +
        (latestEpoch === epoch ? bytes.length : await sizeOf(at(checkpointFile('latest')))) +
        (bestEpoch === epoch ? bytes.length : await sizeOf(at(checkpointFile('best'))));
      const written = { ...record, storedBytes };
      await writeRecord(written);
      if (latestEpoch === epoch) await writeWhole(at(checkpointFile('latest')), bytes);
      if (bestEpoch === epoch) await writeWhole(at(checkpointFile('best')), bytes);
      await prune(dir, written);
      return written;
    },
    readCheckpoint: async (id, which) => {
      const record = await current(id);
      const epoch = which === 'latest' ? record?.latestEpoch : record?.bestEpoch;
      if (epoch === null || epoch === undefined) return undefined;
      // The copy stands in where the user has removed the epoch's own file.
      const bytes = (await readIfThere(at(checkpointFile(epoch)))) ?? (await readIfThere(at(checkpointFile(which))));
      return bytes && new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    },
    delete: async (id) => {
      const record = await readRecord(dir);
      // A run that failed before its record was written has left its log.
      if (record !== undefined && record.id !== id) return;
      for (const name of await runFiles(dir)) await rm(at(name), { force: true });
    },
  };
}

/** Undefined where the folder holds no run. Throws `CheckpointUnreadableError` for a `run.json` that isn't one. */
export async function readRecord(dir: string): Promise<RunRecord | undefined> {
  const bytes = await readIfThere(join(dir, recordFile));
  if (bytes === undefined) return undefined;
  try {
    const record: unknown = JSON.parse(bytes.toString('utf8'));
    if (!runRecords.isNewer(record)) return runRecords.read(record);
  } catch {
    // Said below.
  }
  throw new CheckpointUnreadableError(`${join(dir, recordFile)} was not written by this version`);
}

/**
 * What a kill may have left, put right: half-written `.part` files go, a last line of the log that was cut off goes, checkpoints
 * that the record doesn't know yet go, and `checkpoint_latest` and `checkpoint_best` become what the record says. Needs the lock.
 */
export async function repairRunFolder(dir: string): Promise<void> {
  const at = (name: string): string => join(dir, name);
  try {
    const names = await readdir(dir).catch((): string[] => []);
    for (const name of names)
      if (/^(run\.json|events\.ndjson|metrics\.json|checkpoint_\w+\.safetensors)\.[0-9a-f-]+\.part$/.test(name))
        await rm(at(name), { force: true });
    const record = await readRecord(dir);
    if (record === undefined) return;
    const log = await readIfThere(at(logFile));
    if (log !== undefined) {
      const whole = log.lastIndexOf(0x0a) + 1;
      if (whole < log.length) await truncate(at(logFile), whole);
    }
    for (const epoch of await storedEpochs(dir))
      if (epoch > (record.latestEpoch ?? 0)) await rm(at(checkpointFile(epoch)), { force: true });
    for (const which of ['latest', 'best'] as const) {
      const epoch = which === 'latest' ? record.latestEpoch : record.bestEpoch;
      const wanted = epoch === null ? undefined : await readIfThere(at(checkpointFile(epoch)));
      const found = await readIfThere(at(checkpointFile(which)));
      if (epoch === null) await rm(at(checkpointFile(which)), { force: true });
      else if (wanted !== undefined && !found?.equals(wanted)) await writeWhole(at(checkpointFile(which)), wanted);
    }
    await prune(dir, record);
  } catch (error) {
    throw asWriteError(error, dir);
  }
}

/** The files of a run in its folder, the record last. */
export async function runFiles(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch((): string[] => []);
  const checkpoints = names.filter((name) => /^checkpoint_(\d+|latest|best)\.safetensors$/.test(name));
  return [...checkpoints, ...[logFile, recordFile].filter((name) => names.includes(name))];
}

/** Epochs whose checkpoints stay: all, or the newest `output.keep_checkpoints` and the best. */
function keptEpochs(epochs: readonly number[], { config, bestEpoch }: RunRecord): number[] {
  const keep = config.output.keep_checkpoints;
  const sorted = epochs.toSorted((a, b) => b - a);
  // Absent in configurations of the first version.
  return keep == null ? sorted : sorted.filter((epoch, i) => i < keep || epoch === bestEpoch);
}

async function prune(dir: string, record: RunRecord): Promise<void> {
  const epochs = await storedEpochs(dir);
  const kept = new Set(keptEpochs(epochs, record));
  for (const epoch of epochs) if (!kept.has(epoch)) await rm(join(dir, checkpointFile(epoch)), { force: true });
}

async function storedEpochs(dir: string): Promise<number[]> {
  const names = await readdir(dir).catch((): string[] => []);
  return names.map(epochOf).filter((epoch) => epoch !== null);
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function wholeLines(text: string): string {
  return text.slice(0, text.lastIndexOf('\n') + 1);
}
