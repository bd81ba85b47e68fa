import { beforeEach, describe, expect, it } from 'vitest';
import type { KeyValue } from '../../../src/platform/browser/keyValue.ts';
import { runStore } from '../../../src/platform/browser/runStore.ts';
import { newRun } from '../../../src/training/run.ts';
import type { RunRecord } from '../../../src/training/types.ts';
import { config } from '../training/smallRun.ts';

/** A database in memory that notes each transaction that writes. */
function memory(): { records: KeyValue; held: Map<string, unknown>; writes: string[][] } {
  const held = new Map<string, unknown>();
  const writes: string[][] = [];
  const sorted = (prefix: string): string[] => [...held.keys()].filter((key) => key.startsWith(prefix)).sort();
  const setMany = (entries: [string, unknown][]): Promise<void> => {
    writes.push(entries.map(([key]) => key));
    for (const [key, value] of entries) held.set(key, structuredClone(value));
    return Promise.resolve();
  };
  const delMany = (keys: string[]): Promise<void> => {
    for (const key of keys) held.delete(key);
    return Promise.resolve();
  };
  const records: KeyValue = {
    get: <T>(key: string) => Promise.resolve(held.get(key) as T | undefined),
    set: (key, value) => setMany([[key, value]]),
    append: (prefix, value) => {
      const last = sorted(prefix).at(-1);
      const next = last === undefined ? 0 : Number(last.slice(prefix.length)) + 1;
      return setMany([[`${prefix}${String(next).padStart(8, '0')}`, value]]);
    },
    setMany,
    delMany,
    del: (key) => delMany([key]),
    keys: (prefix) => Promise.resolve(sorted(prefix)),
    entries: <T>(prefix: string) =>
      Promise.resolve(sorted(prefix).map((key): [string, T] => [key, held.get(key) as T])),
  };
  return { records, held, writes };
}

const record: RunRecord = newRun(
  'r1',
  config,
  { id: 'd', name: 'd', hash: 'h', synthetic: true, classes: ['a', 'b'] },
  null,
  null,
  7,
);

describe('runs in IndexedDB', () => {
  let database: ReturnType<typeof memory>;
  beforeEach(() => (database = memory()));
  const checkpoints = (): string[] => [...database.held.keys()].filter((key) => key.startsWith('checkpoint/'));

  it('writes a checkpoint and the record that points to it in one transaction', async () => {
    const store = runStore(database.records);
    await store.writeCheckpoint({ ...record, latestEpoch: 1, bestEpoch: 1 }, 1, Uint8Array.of(1, 2, 3));
    expect(database.writes).toEqual([['checkpoint/r1/00000001', 'run/r1']]);
    expect(await store.readCheckpoint('r1', 'latest')).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('keeps the latest and the best, and counts their bytes', async () => {
    const store = runStore(database.records);
    let now = record;
    for (const [epoch, best] of [
      [1, 1],
      [2, 2],
      [3, 2],
      [4, 2],
    ] as const) {
      now = await store.writeCheckpoint(
        { ...now, latestEpoch: epoch, bestEpoch: best },
        epoch,
        new Uint8Array(10).fill(epoch),
      );
    }
    expect(checkpoints()).toEqual(['checkpoint/r1/00000002', 'checkpoint/r1/00000004']);
    expect((await store.read('r1'))?.storedBytes).toBe(20);
    expect((await store.readCheckpoint('r1', 'best'))?.[0]).toBe(2);
    expect((await store.readCheckpoint('r1', 'latest'))?.[0]).toBe(4);
  });

  it('sweeps what a crash left between writing and removing', async () => {
    database.held.set('checkpoint/r1/00000001', new Uint8Array(5));
    const store = runStore(database.records);
    await store.writeCheckpoint({ ...record, latestEpoch: 3, bestEpoch: 3 }, 3, new Uint8Array(4));
    expect(checkpoints()).toEqual(['checkpoint/r1/00000003']);
  });

  it('gives the log back in order, over several sessions', async () => {
    const first = runStore(database.records);
    await Promise.all([
      first.appendEvents('r1', [{ at: 1, type: 'paused' }]),
      first.appendEvents('r1', [{ at: 2, type: 'continued' }]),
    ]);
    await runStore(database.records).appendEvents('r1', [{ at: 3, type: 'paused' }]);
    expect((await first.events('r1')).map((event) => event.at)).toEqual([1, 2, 3]);
  });

  it('keeps what two workers write to one log in turns', async () => {
    const [trainer, model] = [runStore(database.records), runStore(database.records)];
    await trainer.appendEvents('r1', [{ at: 1, type: 'paused' }]);
    await model.appendEvents('r1', [{ at: 2, type: 'notice', text: 'judged' }]);
    await trainer.appendEvents('r1', [{ at: 3, type: 'continued' }]);
    await Promise.all(
      [4, 5, 6].flatMap((at) => [trainer, model].map((one) => one.appendEvents('r1', [{ at, type: 'paused' }]))),
    );
    expect((await trainer.events('r1')).map((event) => event.at)).toEqual([1, 2, 3, 4, 4, 5, 5, 6, 6]);
    expect(await model.events('r1')).toEqual(await trainer.events('r1'));
  });

  it('deletes a run and nothing of another', async () => {
    const store = runStore(database.records);
    for (const id of ['r1', 'r2']) {
      await store.writeCheckpoint({ ...record, id, latestEpoch: 1, bestEpoch: 1 }, 1, new Uint8Array(4));
      await store.appendEvents(id, [{ at: 1, type: 'paused' }]);
    }
    await store.delete('r1');
    expect([...database.held.keys()].every((key) => key.includes('r2'))).toBe(true);
    expect((await store.list()).map((one) => one.id)).toEqual(['r2']);
  });
});
