import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { cutStore, speedStore } from '../../../src/platform/browser/speedStore.ts';
import { diskCutStore, diskSpeedStore } from '../../../src/platform/node/diskSpeedStore.ts';
import type { CutStore, SpeedStore } from '../../../src/engine/types.ts';
import { memoryKeyValue } from '../support/memoryKeyValue.ts';

const folder = mkdtempSync(join(tmpdir(), 'speeds-'));
afterAll(() => rmSync(folder, { recursive: true }));
const speeds = { webgpu: 5e11, wasm: 2e10 };

it.each<[string, () => (version: string) => SpeedStore]>([
  [
    'IndexedDB',
    () => {
      const { records } = memoryKeyValue();
      return (version) => speedStore(() => records, version);
    },
  ],
  [
    'a file',
    () => {
      const own = mkdtempSync(join(folder, 'own-'));
      return (version) => diskSpeedStore(() => own, version);
    },
  ],
])('%s: keeps speeds by key, for this version of what runs the page alone', async (_, open) => {
  const store = open();
  const first = store('Browser/1');
  expect(await first.read('GPU, 4 threads')).toBeUndefined();
  await first.write!('GPU, 4 threads', speeds);
  await first.write!('GPU, 1 thread', { webgpu: 1, wasm: 2 });
  expect(await store('Browser/1').read('GPU, 4 threads')).toEqual(speeds);
  expect(await store('Browser/1').read('GPU, 1 thread')).toEqual({ webgpu: 1, wasm: 2 });
  expect(await store('Browser/2').read('GPU, 4 threads')).toBeUndefined();
});

it('makes no database before it is asked, and leaves alone what a newer page has measured', async () => {
  const { records, held } = memoryKeyValue();
  let opened = 0;
  const store = speedStore(() => {
    opened++;
    return records;
  }, 'Browser/1');
  expect(opened).toBe(0);
  await store.write!('GPU', speeds);
  const [key] = [...held.keys()] as [string];
  const newer = { schema: 2, rates: [1, 2] };
  held.set(key, newer);
  expect(await store.read('GPU')).toBeUndefined();
  await expect(store.write!('GPU', speeds)).rejects.toThrow('newer version');
  expect(held.get(key)).toBe(newer);
  expect(opened).toBe(1);
});

it('takes a file that is damaged for none, and does without a folder', async () => {
  const own = mkdtempSync(join(folder, 'own-'));
  writeFileSync(join(own, 'speeds.json'), '{"v1 GPU": {"webgpu": "fast"');
  const store = diskSpeedStore(() => own, 'v1');
  expect(await store.read('GPU')).toBeUndefined();
  await store.write!('GPU', speeds);
  expect(await store.read('GPU')).toEqual(speeds);
  expect(readdirSync(own)).toEqual(['speeds.json']);
  const nowhere = diskSpeedStore(() => null);
  await nowhere.write!('GPU', speeds);
  expect(await nowhere.read('GPU')).toBeUndefined();
});

const chosen = { 'conv 32×32×32': 'lanes8', 'conv 64×32×32': null };

it.each<[string, () => (version: string) => CutStore]>([
  [
    'IndexedDB',
    () => {
      const { records } = memoryKeyValue();
      return (version) => cutStore(() => records, version);
    },
  ],
  [
    'a file',
    () => {
      const own = mkdtempSync(join(folder, 'own-'));
      return (version) => diskCutStore(() => own, version);
    },
  ],
])('%s: keeps chosen cuts by device and kernels, and does not mix them with speeds', async (_, open) => {
  const store = open();
  const first = store('Browser/1');
  expect(await first.read('GPU float32 00000001')).toBeUndefined();
  await first.write('GPU float32 00000001', chosen);
  await first.write('GPU float16 00000001', {});
  expect(await store('Browser/1').read('GPU float32 00000001')).toEqual(chosen);
  expect(await store('Browser/1').read('GPU float16 00000001')).toEqual({});
  expect(await store('Browser/2').read('GPU float32 00000001')).toBeUndefined();
});

it('leaves alone the cuts that a newer page has stored, and lies beside the speeds', async () => {
  const { records, held } = memoryKeyValue();
  await speedStore(() => records, 'Browser/1').write!('GPU', speeds);
  const store = cutStore(() => records, 'Browser/1');
  await store.write('GPU', chosen);
  expect(held.size).toBe(2);
  const key = [...held.keys()].find((name) => name.startsWith('cuts/'))!;
  const newer = { schema: 2, other: true };
  held.set(key, newer);
  expect(await store.read('GPU')).toBeUndefined();
  await expect(store.write('GPU', chosen)).rejects.toThrow('newer version');
  expect(held.get(key)).toBe(newer);
});
