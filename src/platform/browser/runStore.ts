import type { RunEvent } from '../../training/events.ts';
import type { RunStore } from '../../training/types.ts';
import { runRecords } from '../runRecords.ts';
import { keyValue, type KeyValue } from './keyValue.ts';

export interface BrowserRunStore extends RunStore {
  /** How many lie here that a newer page stored: they are not listed. */
  newer(): Promise<number>;
}

/**
 * Records under `run/ID`, the log in bunches under `events/ID/N`, checkpoints under `checkpoint/ID/EPOCH`. A checkpoint and the
 * record that points to it are one transaction. Checkpoints that no record points to (superseded, or left by a
 * crash between the two steps) are removed at the next write.
 */
export function runStore(records: KeyValue = keyValue('pacerid-runs', 'this training run')): BrowserRunStore {
  const padded = (n: number): string => String(n).padStart(8, '0');
  const recordKey = (id: string): string => `run/${id}`;
  const checkpointKey = (id: string, epoch: number): string => `checkpoint/${id}/${padded(epoch)}`;
  /** Bytes of checkpoints written here, by key: a large one need not be read again only to be measured. */
  const sizes = new Map<string, number>();

  const all = async (): Promise<unknown[]> => (await records.entries('run/')).map(([, record]) => record);
  const read: RunStore['read'] = async (id) => runRecords.read(await records.get(recordKey(id)));
  return {
    list: async () => runRecords.known(await all()).sort((a, b) => b.createdAt - a.createdAt),
    newer: async () => (await all()).filter(runRecords.isNewer).length,
    read,
    write: async (record) => {
      await read(record.id);
      await records.set(recordKey(record.id), record);
    },
    events: async (id) => {
      const bunches = await records.entries<RunEvent[]>(`events/${id}/`);
      return bunches.sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, events]) => events);
    },
    // Trainer and model worker append to one log.
    appendEvents: (id, events) => records.append(`events/${id}/`, events),
    writeCheckpoint: async (record, epoch, bytes) => {
      const wanted = new Set([record.latestEpoch, record.bestEpoch]);
      const before = await read(record.id);
      const kept = before === undefined ? [] : [before.latestEpoch, before.bestEpoch];
      let storedBytes = bytes.length;
      for (const other of new Set(kept)) {
        if (other === null || other === epoch || !wanted.has(other)) continue;
        const key = checkpointKey(record.id, other);
        storedBytes += sizes.get(key) ?? (await records.get<Uint8Array>(key))?.length ?? 0;
      }
      const written = { ...record, storedBytes };
      await records.setMany([
        [checkpointKey(record.id, epoch), bytes],
        [recordKey(record.id), written],
      ]);
      sizes.set(checkpointKey(record.id, epoch), bytes.length);
      const keys = await records.keys(`checkpoint/${record.id}/`);
      const stale = keys.filter((key) => !wanted.has(Number(key.split('/').at(-1))));
      if (stale.length > 0) await records.delMany(stale);
      return written;
    },
    readCheckpoint: async (id, which) => {
      const record = await read(id);
      const epoch = which === 'latest' ? record?.latestEpoch : record?.bestEpoch;
      if (epoch === null || epoch === undefined) return undefined;
      return records.get<Uint8Array>(checkpointKey(id, epoch));
    },
    delete: async (id) => {
      await read(id);
      const keys = await Promise.all([records.keys(`events/${id}/`), records.keys(`checkpoint/${id}/`)]);
      await records.delMany([recordKey(id), ...keys.flat()]);
    },
  };
}
