import type { RunEvent } from '../../training/events.ts';
import type { RunRecord, RunStore } from '../../training/types.ts';

/** Runs in memory: for a headless run and for tests. Copies what is handed in, as a database does. */
export function memoryRunStore(): RunStore {
  const records = new Map<string, RunRecord>();
  const logs = new Map<string, RunEvent[]>();
  const checkpoints = new Map<string, Map<number, Uint8Array>>();
  return {
    list: () => Promise.resolve([...records.values()].sort((a, b) => b.createdAt - a.createdAt)),
    read: (id) => Promise.resolve(records.get(id)),
    write: (record) => {
      records.set(record.id, structuredClone(record));
      return Promise.resolve();
    },
    events: (id) => Promise.resolve([...(logs.get(id) ?? [])]),
    appendEvents: (id, events) => {
      logs.set(id, [...(logs.get(id) ?? []), ...structuredClone(events)]);
      return Promise.resolve();
    },
    writeCheckpoint: (record, epoch, bytes) => {
      const wanted = new Set([record.latestEpoch, record.bestEpoch]);
      const all = [...(checkpoints.get(record.id) ?? []), [epoch, bytes.slice()] as const];
      const kept = new Map(all.filter(([key]) => wanted.has(key)));
      checkpoints.set(record.id, kept);
      const storedBytes = [...kept.values()].reduce((sum, one) => sum + one.length, 0);
      const written = { ...record, storedBytes };
      records.set(record.id, structuredClone(written));
      return Promise.resolve(written);
    },
    readCheckpoint: (id, which) => {
      const record = records.get(id);
      const epoch = which === 'latest' ? record?.latestEpoch : record?.bestEpoch;
      return Promise.resolve(
        checkpoints
          .get(id)
          ?.get(epoch ?? -1)
          ?.slice(),
      );
    },
    delete: (id) => {
      records.delete(id);
      logs.delete(id);
      checkpoints.delete(id);
      return Promise.resolve();
    },
  };
}
