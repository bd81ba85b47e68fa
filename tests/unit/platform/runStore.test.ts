import { beforeEach, describe, expect, it } from 'vitest';
import { runStore } from '../../../src/platform/browser/runStore.ts';
import { newRun } from '../../../src/training/run.ts';
import type { RunRecord } from '../../../src/training/types.ts';
import { memoryKeyValue } from '../support/memoryKeyValue.ts';
import { config } from '../training/smallRun.ts';

const record: RunRecord = newRun(
  'r1',
  config,
  { id: 'd', name: 'd', hash: 'h', synthetic: true, classes: ['a', 'b'] },
  null,
  null,
  7,
);

describe('runs in IndexedDB', () => {
  let database: ReturnType<typeof memoryKeyValue>;
  beforeEach(() => (database = memoryKeyValue()));
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

  it('reads a run from before there were other optimisers than Adam as what it did', async () => {
    const {
      weight_decay: _,
      momentum: _m,
      nesterov: _n,
      clip_norm: _c,
      cached_views: _v,
      label_smoothing: _l,
      class_weights: _w,
      ...training
    } = config.training;
    const { horizontal_flip: _h, ...augmentation } = training.augmentation;
    const older = { ...record, schema: 1, config: { ...config, training: { ...training, augmentation } } };
    database.held.set('run/r1', older);
    const read = await runStore(database.records).read('r1');
    expect(read).toEqual(record);
    expect(read?.config.training).toMatchObject({ optimizer: 'adam', weight_decay: 0, clip_norm: null });
    expect(read?.config.training.augmentation).toMatchObject({ degrees: 5, horizontal_flip: 0 });
  });

  it('reads a run of before features were cached as one whose every epoch goes through the backbone', async () => {
    const { cached_views: _, label_smoothing: _l, class_weights: _w, ...training } = config.training;
    database.held.set('run/r1', { ...record, schema: 2, config: { ...config, training } });
    expect((await runStore(database.records).read('r1'))?.config.training.cached_views).toBe(0);
    const now = { ...config, training: { ...config.training, cached_views: 3 } };
    database.held.set('run/r1', { ...record, config: now });
    expect((await runStore(database.records).read('r1'))?.config.training.cached_views).toBe(3);
  });

  it('reads a run of before there were other losses as one of plain cross-entropy', async () => {
    const { label_smoothing: _, class_weights: _w, ...training } = config.training;
    database.held.set('run/r1', { ...record, schema: 3, config: { ...config, training } });
    expect(await runStore(database.records).read('r1')).toEqual(record);
    const now = { ...config, training: { ...config.training, label_smoothing: 0.1, class_weights: { a: 2 } } };
    database.held.set('run/r1', { ...record, config: now });
    expect((await runStore(database.records).read('r1'))?.config.training).toEqual(now.training);
  });

  it('neither lists nor reads nor changes what a newer page stored', async () => {
    const stored = {
      'run/r2': { ...record, id: 'r2', schema: 5, latestEpoch: { file: 'another form' } },
      'events/r2/00000000': [{ at: 1, type: 'of another form' }],
      'checkpoint/r2/00000001': Uint8Array.of(1),
      'checkpoint/r2/00000002': Uint8Array.of(2),
    };
    for (const [key, value] of Object.entries(stored)) database.held.set(key, value);
    const store = runStore(database.records);
    await store.write(record);
    await store.writeCheckpoint({ ...record, latestEpoch: 1, bestEpoch: 1 }, 1, new Uint8Array(4));
    expect((await store.list()).map(({ id }) => id)).toEqual(['r1']);
    expect(await store.newer()).toBe(1);
    const older = { ...record, id: 'r2', latestEpoch: 3, bestEpoch: 3 };
    for (const refused of [
      () => store.read('r2'),
      () => store.write(older),
      () => store.writeCheckpoint(older, 3, new Uint8Array(4)),
      () => store.readCheckpoint('r2', 'best'),
      () => store.delete('r2'),
    ])
      await expect(refused()).rejects.toMatchObject({
        name: 'StoredByNewerError',
        message: 'This run was stored by a newer version of this page, and this one cannot read it.',
      });
    for (const [key, value] of Object.entries(stored)) expect(database.held.get(key), key).toEqual(value);
    expect([...database.held.keys()].filter((key) => key.includes('r2'))).toEqual(Object.keys(stored));
  });
});
