import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { diskRunStore, repairRunFolder } from '../../../src/platform/node/diskRunStore.ts';
import { finishSettingAside, putBack, setAside } from '../../../src/platform/node/previousRuns.ts';
import type { RunEvent } from '../../../src/training/events.ts';
import { newRun } from '../../../src/training/run.ts';
import type { RunRecord } from '../../../src/training/types.ts';
import { config } from '../training/smallRun.ts';

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'run-store-'))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const dataset = { id: 'd', name: 'd', hash: 'h', synthetic: true, classes: ['a', 'b'] };
const recordOf = (keep: number | null): RunRecord =>
  newRun('r1', { ...config, output: { ...config.output, keep_checkpoints: keep } }, dataset, null, null, 7);
const names = (): string[] => readdirSync(dir).sort();
const bytesIn = (name: string): number[] => [...readFileSync(join(dir, name))];
const content = (epoch: number): Uint8Array => new Uint8Array(10 + epoch).fill(epoch);
const write = async (record: RunRecord, epoch: number, best: number): Promise<RunRecord> =>
  diskRunStore(dir).writeCheckpoint({ ...record, latestEpoch: epoch, bestEpoch: best }, epoch, content(epoch));

it('keeps a checkpoint of every epoch, and whole copies of the newest and the best', async () => {
  let record = recordOf(null);
  for (const [epoch, best] of [
    [1, 1],
    [2, 2],
    [3, 2],
  ] as const)
    record = await write(record, epoch, best);
  expect(names()).toEqual([
    'checkpoint_1.safetensors',
    'checkpoint_2.safetensors',
    'checkpoint_3.safetensors',
    'checkpoint_best.safetensors',
    'checkpoint_latest.safetensors',
    'run.json',
  ]);
  expect(bytesIn('checkpoint_best.safetensors')).toEqual([...content(2)]);
  expect(bytesIn('checkpoint_latest.safetensors')).toEqual([...content(3)]);
  expect(record.storedBytes).toBe(11 + 12 + 13 + 12 + 13);
  expect(await diskRunStore(dir).list()).toEqual([record]);
});

it('with keep_checkpoints the newest and the best stay', async () => {
  let record = recordOf(2);
  for (const epoch of [1, 2, 3, 4]) record = await write(record, epoch, 1);
  expect(names().filter((name) => /_\d/.test(name))).toEqual(
    [1, 3, 4].map((epoch) => `checkpoint_${epoch}.safetensors`),
  );
  expect([...((await diskRunStore(dir).readCheckpoint('r1', 'best')) ?? [])]).toEqual([...content(1)]);
});

it('gives events back as they were, float32 for float32, without a line that was cut off', async () => {
  const store = diskRunStore(dir);
  await store.write(recordOf(null));
  const probabilities = Float32Array.from([0.1, 1 / 3, 1e-30, 0.9999999]);
  const events = [
    { at: 1, type: 'paused' },
    { at: 2, type: 'testEvaluated', epoch: 1, report: { n: 2, probabilities } },
  ] as unknown as RunEvent[];
  await store.appendEvents('r1', events.slice(0, 1));
  await store.appendEvents('r1', events.slice(1));
  appendFileSync(join(dir, 'events.ndjson'), '{"at":3,"type":"conti');
  expect(await store.events('r1')).toEqual(events);
  await repairRunFolder(dir);
  await store.appendEvents('r1', [{ at: 4, type: 'continued' }]);
  expect((await store.events('r1')).map(({ at }) => at)).toEqual([1, 2, 4]);
  expect(await store.events('another')).toEqual([]);
});

it('puts right what a kill left between the record and the copies, and removes what the record doesn’t know', async () => {
  let record = recordOf(null);
  for (const epoch of [1, 2]) record = await write(record, epoch, epoch);
  const whole = names();
  writeFileSync(join(dir, 'checkpoint_latest.safetensors'), content(1));
  rmSync(join(dir, 'checkpoint_best.safetensors'));
  writeFileSync(join(dir, 'checkpoint_3.safetensors'), content(3));
  writeFileSync(join(dir, 'checkpoint_3.safetensors.99-0123abcd.part'), 'half');
  await repairRunFolder(dir);
  expect(names()).toEqual(whole);
  for (const copy of ['latest', 'best']) expect(bytesIn(`checkpoint_${copy}.safetensors`)).toEqual([...content(2)]);
});

it('a folder without a run of ours is left as it is', async () => {
  writeFileSync(join(dir, 'checkpoint_7.safetensors'), content(7));
  writeFileSync(join(dir, 'notes.txt'), 'mine');
  await repairRunFolder(dir);
  expect(names()).toEqual(['checkpoint_7.safetensors', 'notes.txt']);
});

it('sets a run aside, finishes that after a kill, and puts it back', async () => {
  await write(recordOf(null), 1, 1);
  writeFileSync(join(dir, 'notes.txt'), 'mine');
  const before = names();
  const to = await setAside(dir);
  expect(to).toBe(join(dir, 'previous', 'r1'));
  expect(names()).toEqual(['notes.txt', 'previous']);
  await putBack(dir, to ?? '');
  expect(names()).toEqual([...before, 'previous'].sort());

  // Cut off after the first file.
  await setAside(dir);
  writeFileSync(join(dir, 'checkpoint_best.safetensors'), 'left behind');
  writeFileSync(join(dir, 'moving-aside'), 'previous/r1');
  await finishSettingAside(dir);
  expect(names()).toEqual(['notes.txt', 'previous']);
  expect(await setAside(dir)).toBeNull();
});

it('sets aside beside what has its name already, and replaces nothing there', async () => {
  for (const n of [1, 2, 3]) {
    await write(recordOf(null), 1, 1);
    mkdirSync(join(dir, 'M.mlpackage', 'Data'), { recursive: true });
    writeFileSync(join(dir, 'M.mlpackage', 'Data', 'weights'), String(n));
    expect(await setAside(dir)).toBe(join(dir, 'previous', n === 1 ? 'r1' : `r1-${n}`));
    expect(names()).toEqual(['previous']);
  }
  const kept = readdirSync(join(dir, 'previous')).map((name) => [
    name,
    readFileSync(join(dir, 'previous', name, 'M.mlpackage', 'Data', 'weights'), 'utf8'),
  ]);
  expect(kept).toEqual([
    ['r1', '1'],
    ['r1-2', '2'],
    ['r1-3', '3'],
  ]);
});

it('a move that can’t be finished stops no later start: all is put back', async () => {
  await write(recordOf(null), 1, 1);
  mkdirSync(join(dir, 'M.mlpackage', 'Data'), { recursive: true });
  // What an earlier version may have left: the very names that are on their way.
  mkdirSync(join(dir, 'previous', 'r1', 'M.mlpackage', 'Data'), { recursive: true });
  writeFileSync(join(dir, 'moving-aside'), 'previous/r1');
  await finishSettingAside(dir);
  expect(names()).toEqual(['previous']);
  expect(readdirSync(join(dir, 'previous'))).toEqual(['r1', 'r1-2']);
  expect(readdirSync(join(dir, 'previous', 'r1-2'))).toEqual(['M.mlpackage']);

  await write(recordOf(null), 1, 1);
  const before = names();
  // No folder can be made there.
  rmSync(join(dir, 'previous'), { recursive: true });
  writeFileSync(join(dir, 'previous'), 'a file');
  for (const place of ['previous/r1', '../elsewhere', '']) {
    writeFileSync(join(dir, 'moving-aside'), place);
    await finishSettingAside(dir);
    expect(names()).toEqual(before);
  }
  await expect(setAside(dir)).rejects.toMatchObject({ name: 'NotWritableError' });
  expect(names()).toEqual(before);
});

it('a run that failed before its record was written leaves nothing, and another one’s files stay', async () => {
  const store = diskRunStore(dir);
  await store.appendEvents('r1', [{ at: 1, type: 'continued' }]);
  expect(names()).toEqual(['events.ndjson']);
  await store.delete('r1');
  expect(names()).toEqual([]);
  await write(recordOf(null), 1, 1);
  const before = names();
  await store.delete('another');
  expect(names()).toEqual(before);
});
