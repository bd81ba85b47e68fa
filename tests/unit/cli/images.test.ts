import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { imagesOf } from '../../../src/cli/images.ts';
import { openSession } from '../../../src/cli/session.ts';
import { membersOf, splitWith } from '../../../src/dataset/members.ts';
import { drawSample } from '../../../src/dataset/sample/drawSample.ts';
import type { Dataset, Members, Split } from '../../../src/dataset/types.ts';
import { memoryRunStore } from '../../../src/platform/node/runStore.ts';
import { config } from '../training/smallRun.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'images-'));
  for (const [seed, name] of [
    [8, 'more'],
    [9, 'yet-more'],
  ] as const)
    [...drawSample({ seed, classes: 2, train_per_class: 5, test_per_class: 0, size: 64 })].forEach(({ png }, i) => {
      mkdirSync(join(folder, name, `New ${i % 2}`), { recursive: true });
      writeFileSync(join(folder, name, `New ${i % 2}`, `${i}.png`), png);
    });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sample = { seed: 7, classes: 3, train_per_class: 12, test_per_class: 0, size: 64 };
const load = async (seed: number, members: Members | null, ...add: string[]): Promise<Dataset> => {
  const data = { ...config.data, source: 'sample' as const, sample, img_size: 32, seed, test_split: 0.2 };
  const flags = { add: add.map((name) => join(folder, name)), 'no-cache': true };
  const images = await imagesOf(flags, { ...config, data }, () => undefined);
  return images.load(openSession({ datasets: images.store, runs: memoryRunStore(), modelsDir: '' }), members);
};
const membersWith = (dataset: Dataset, seed: number): Members =>
  membersOf(dataset, splitWith(dataset, { ...config.data, test_split: 0.2, seed }, null));

it('images that are added leave each old one in the split that the model had, and a run that goes on finds the same', async () => {
  const known = membersWith(await load(1, null), 1);
  expect(known.test.length).toBeGreaterThan(0);
  const splitOf = new Map(
    (['train', 'val', 'test'] as Split[]).flatMap((split) => known[split].map((name) => [name, split])),
  );
  // Another seed than the model's: it would draw other splits.
  expect(membersWith(await load(2, null), 2)).not.toEqual(known);
  const grown = await load(2, known, 'more', 'yet-more');
  const old = grown.images.filter(({ hash }) => splitOf.has(hash.slice(0, 16)));
  expect(old).toHaveLength(36);
  for (const { given, hash } of old) expect(given).toBe(splitOf.get(hash.slice(0, 16)));
  expect(grown.images).toHaveLength(56);
  expect(grown.images.every(({ given }) => given !== null)).toBe(true);

  const all = membersOf(grown, splitWith(grown, { ...config.data, seed: 2 }, known));
  expect((await load(2, all, 'more', 'yet-more')).hash).toBe(grown.hash);
  expect((await load(2, null, 'more', 'yet-more')).hash).not.toBe(grown.hash);
});
