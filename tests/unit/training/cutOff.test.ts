import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { KeyValue } from '../../../src/platform/browser/keyValue.ts';
import { runStore } from '../../../src/platform/browser/runStore.ts';
import { diskRunStore, repairRunFolder } from '../../../src/platform/node/diskRunStore.ts';
import { readCheckpoint } from '../../../src/training/checkpoint.ts';
import type { RunEvent } from '../../../src/training/events.ts';
import { foldRun, type RunState } from '../../../src/training/runState.ts';
import type { RunRecord, RunStore } from '../../../src/training/types.ts';
import { memoryKeyValue } from '../support/memoryKeyValue.ts';
import { openInNode } from '../support/openInNode.ts';
import { smallRun, type SmallRun } from './smallRun.ts';

const EPOCHS = 3;
const change = { epochs: EPOCHS };

/** What is left of a storage whose process ends after `writes` of them: nothing comes after, whatever the process still tries. */
function cutAfter(writes: number): <Call extends unknown[], T>(write: (...call: Call) => Promise<T>) => typeof write {
  let left = writes;
  return (write) =>
    (...call) => {
      left -= 1;
      return left < 0 ? Promise.reject(new Error('the process has ended')) : write(...call);
    };
}

interface Storage {
  readonly whole: () => RunStore;
  readonly cut: (writes: number) => RunStore;
  /** As at the start of the next process. */
  readonly repair: () => Promise<void>;
  /** Keeps the first `events` of the log, as storage that keeps no order may. */
  readonly truncate: (events: number) => Promise<void>;
  readonly dispose: () => void;
}

/** In IndexedDB each transaction may be the last. */
function indexedDb(): Storage {
  const { records, held } = memoryKeyValue();
  return {
    whole: () => runStore(records),
    cut: (writes) => {
      const unlessCut = cutAfter(writes);
      const { set, append, setMany, del, delMany } = records;
      const cut: KeyValue = {
        ...records,
        set: unlessCut(set),
        append: unlessCut(append),
        setMany: unlessCut(setMany),
        del: unlessCut(del),
        delMany: unlessCut(delMany),
      };
      return runStore(cut);
    },
    repair: () => Promise.resolve(),
    truncate: async (n) => {
      const events = (await runStore(records).events('small')).slice(0, n);
      for (const key of [...held.keys()].filter((key) => key.startsWith('events/'))) held.delete(key);
      await records.append('events/small/', events);
    },
    dispose: () => undefined,
  };
}

/** On disk each write of the store may be the last, and an append may be half of one. */
function disk(): Storage {
  const dir = mkdtempSync(join(tmpdir(), 'cut-off-'));
  const log = join(dir, 'events.ndjson');
  const whole = (): RunStore => diskRunStore(dir);
  return {
    whole,
    cut: (writes) => {
      const unlessCut = cutAfter(writes);
      const { write, appendEvents, writeCheckpoint, ...reads } = whole();
      return {
        ...reads,
        write: unlessCut(write),
        appendEvents: unlessCut(appendEvents),
        writeCheckpoint: unlessCut(writeCheckpoint),
        delete: unlessCut(reads.delete),
      };
    },
    repair: async () => {
      // Without a record a new run sets the log aside.
      if ((await whole().list()).length > 0) appendFileSync(log, '{"at":3,"type":"epochEn');
      await repairRunFolder(dir);
    },
    truncate: (n) => {
      const lines = readFileSync(log, 'utf8').split('\n').slice(0, n);
      writeFileSync(log, lines.map((line) => `${line}\n`).join(''));
      return Promise.resolve();
    },
    dispose: () => rmSync(dir, { recursive: true, force: true }),
  };
}

const carryOn = (store: RunStore, record: RunRecord | undefined, more: SmallRun = {}) =>
  smallRun({ change, ...more, store, ...(record !== undefined && { record }) });
const epochsOf = (state: RunState): number[] => state.history.map(({ epoch }) => epoch);
const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

/** What a run has come to, but for times and how often it was cut off. */
const cameTo = ({ history, steps, bestEpoch, latestCheckpoint, status, reason, test, epochs }: RunState) => ({
  history: history.map(({ seconds: _, ...row }) => row),
  steps,
  bestEpoch,
  latestCheckpoint,
  status,
  reason,
  test,
  epochs,
});

let straight: ReturnType<typeof cameTo>;
beforeAll(async () => {
  straight = cameTo(foldRun((await smallRun({ change })).events));
  expect(straight.history.map(({ epoch }) => epoch)).toEqual(upTo(EPOCHS));
  expect(straight.steps).toHaveLength(4 * EPOCHS);
});

describe.each([
  ['IndexedDB', indexedDb],
  ['files', disk],
])('a run kept in %s', (_, open) => {
  let storage: Storage;
  beforeEach(() => (storage = open()));
  afterEach(() => storage.dispose());
  const folded = async (): Promise<RunState> => foldRun(await storage.whole().events('small'));
  const recordThere = (): Promise<RunRecord | undefined> => storage.whole().read('small');

  it('whichever write was its last: the log has every epoch up to its checkpoint, and resumed it is the uninterrupted run', async () => {
    let cuts = 0;
    for (let finished = false; !finished; cuts += 1) {
      storage.dispose();
      storage = open();
      const cut = await carryOn(storage.cut(cuts), undefined);
      finished = cut.error === null;
      const at = `after ${cuts} writes`;
      await storage.repair();
      const record = await recordThere();
      const left = await folded();
      const known = record?.latestEpoch ?? 0;
      expect(epochsOf(left).slice(0, known), at).toEqual(upTo(known));
      expect(
        left.steps.filter(({ epoch }) => epoch <= known),
        at,
      ).toHaveLength(4 * known);
      if (record?.state !== 'completed') {
        const resumed = await carryOn(storage.whole(), record);
        expect(resumed.error, at).toBeNull();
        // Whatever came to be stored in a different order would be told here.
        expect(
          resumed.events.some((event) => event.type === 'resumed' && event.missed !== undefined),
          at,
        ).toBe(false);
      }
      expect(cameTo(await folded()), at).toEqual(straight);
      expect((await recordThere())?.state, at).toBe('completed');
    }
    // The record, and for each epoch its events and its checkpoint at least.
    expect(cuts).toBeGreaterThan(2 + 2 * EPOCHS);
  }, 120_000);

  it('cut off again and again, it ends as the uninterrupted run', async () => {
    for (const writes of [9, 12, 13]) {
      storage.dispose();
      storage = open();
      let lives = 0;
      for (; (await recordThere())?.state !== 'completed' && lives < 12; lives += 1) {
        await carryOn(storage.cut(writes), await recordThere());
        await storage.repair();
      }
      expect(lives, `${writes} writes a life`).toBeGreaterThan(1);
      expect(cameTo(await folded()), `${writes} writes a life`).toEqual(straight);
    }
  }, 120_000);

  it('whatever the log has lost of its end, the resumed run’s history is whole', async () => {
    const begin = async (): Promise<readonly RunEvent[]> => {
      storage.dispose();
      storage = open();
      await carryOn(storage.whole(), undefined, { change: { epochs: 2 } });
      return storage.whole().events('small');
    };
    const ends = (await begin()).flatMap(({ type }, i) => (type === 'epochEnded' ? [i] : []));
    // Without and with the end of the first epoch, of the second, and nothing at all.
    for (const kept of [...ends, ...ends.map((i) => i + 1), 0]) {
      const log = await begin();
      const record = (await recordThere()) as RunRecord;
      const { config } = record;
      await storage.truncate(kept);
      const longer = { ...record, config: { ...config, training: { ...config.training, epochs: EPOCHS } } };
      const resumed = await carryOn(storage.whole(), longer);
      const now = await folded();
      const checkpoint = readCheckpoint((await storage.whole().readCheckpoint('small', 'latest')) as Uint8Array);
      expect(epochsOf(now), `${kept} events`).toEqual(upTo(EPOCHS));
      expect(now, `${kept} events`).toMatchObject({
        history: checkpoint.history,
        bestEpoch: straight.bestEpoch,
        latestCheckpoint: EPOCHS,
        stepsPerEpoch: 4,
      });
      expect(foldRun(resumed.events, foldRun(log.slice(0, kept))).history, `${kept} events`).toEqual(now.history);
    }
  }, 60_000);
});

it('a log of an earlier version that has a hole is made whole by the run that goes on', async () => {
  const { records, held } = memoryKeyValue();
  const run = await carryOn(runStore(records), undefined);
  const log = await run.store.events('small');
  for (const key of [...held.keys()].filter((key) => key.startsWith('events/'))) held.delete(key);
  const holed = log.filter((event) => !(event.type === 'epochEnded' && event.epoch === 2));
  await run.store.appendEvents('small', holed);
  expect(epochsOf(foldRun(holed))).toEqual([1, 3]);
  const longer = { ...run.record.config, training: { ...run.record.config.training, epochs: 4 } };
  const resumed = await carryOn(run.store, { ...run.record, config: longer });
  expect(resumed.error).toBeNull();
  const event = resumed.events.find(({ type }) => type === 'resumed') as Extract<RunEvent, { type: 'resumed' }>;
  expect(event.missed?.map(({ epoch }) => epoch)).toEqual([2]);
  expect(epochsOf(foldRun(await run.store.events('small')))).toEqual([1, 2, 3, 4]);
});

it('a device that is lost while a checkpoint is on its way: no epoch is missing or there twice', async () => {
  const whole = runStore(memoryKeyValue().records);
  const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));
  let lose: ((reason: string) => void) | null = null;
  let arrives: (() => void) | null = null;
  const run = await smallRun({
    change,
    engine: async () => {
      const engine = await openInNode('wasm');
      return lose === null ? { ...engine, lost: new Promise((resolve) => (lose = resolve)) } : engine;
    },
    store: {
      ...whole,
      writeCheckpoint: async (record, epoch, bytes) => {
        if (epoch === 2 && arrives === null) {
          lose?.('the driver was reset');
          await new Promise<void>((resolve) => (arrives = resolve));
        }
        return whole.writeCheckpoint(record, epoch, bytes);
      },
      readCheckpoint: async (...call) => {
        const bytes = await whole.readCheckpoint(...call);
        // The run has read the one before when it comes to be stored after all.
        arrives?.();
        await later();
        return bytes;
      },
    },
  });
  expect(run.error).toBeNull();
  expect(run.events.filter(({ type }) => type === 'deviceLost')).toHaveLength(1);
  expect(run.events.find(({ type }) => type === 'resumed')).toMatchObject({ fromEpoch: 1 });
  expect(cameTo(foldRun(await whole.events('small')))).toEqual(straight);
});
