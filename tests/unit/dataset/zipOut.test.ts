import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlobWriter, Uint8ArrayReader, ZipWriter } from '@zip.js/zip.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addFiles } from '../../../src/dataset/add.ts';
import { importFiles } from '../../../src/dataset/import.ts';
import { assignSplits } from '../../../src/dataset/split.ts';
import type { Dataset, DatasetStore } from '../../../src/dataset/types.ts';
import { datasetZip } from '../../../src/dataset/zipOut.ts';
import { memoryDatasetStore } from '../../../src/platform/node/memoryDatasetStore.ts';
import { importZip, jpeg, jpegs, optionsFor, zipOf, type Files } from './archives.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'zip-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const split = { validation_split: 0.15, test_split: 0.15, seed: 42 };
/** Python's zipfile needs nothing but Python. */
const python = process.env['PACERID_PYTHON'] ?? 'python3';
const hasPython = spawnSync(python, ['--version']).status === 0;
const READ = `
import hashlib, json, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    entries = [[i.filename, hashlib.sha256(archive.read(i)).hexdigest(), i.compress_type, list(i.date_time), i.flag_bits & 8]
               for i in archive.infolist()]
print(json.dumps(entries))
`;

interface Entry {
  readonly path: string;
  readonly hash: string;
  readonly rest: unknown[];
}
/** What Python's zipfile finds in it, every checksum tested. */
async function byPython(zip: Blob): Promise<Entry[]> {
  const path = join(folder, 'set.zip');
  writeFileSync(path, new Uint8Array(await zip.arrayBuffer()));
  const out = execFileSync(python, ['-c', READ, path], { encoding: 'utf8' });
  return (JSON.parse(out) as [string, string, ...unknown[]][]).map(([name, hash, ...rest]) => ({
    path: name,
    hash,
    rest,
  }));
}
const identity = (dataset: Dataset) => ({
  hash: dataset.hash,
  classes: dataset.classes,
  images: dataset.images.map(({ path, hash, label, given }) => ({ path, hash, label, given })),
  splits: assignSplits(dataset, split),
});
const again = async (store: DatasetStore, dataset: Dataset): Promise<Dataset> =>
  importZip(await datasetZip(store, dataset));

describe('datasetZip', () => {
  it.skipIf(!hasPython)(
    'is an archive that Python reads: originals as they were, stored, always the same bytes',
    async () => {
      const store = memoryDatasetStore();
      const files: Files = {
        ...(await jpegs('größe 日本/Train/A', 3, 0)),
        ...(await jpegs('größe 日本/Train/B', 3, 10)),
        'größe 日本/Train/B/bad.jpg': 'text',
        ...(await jpegs('größe 日本/Test/B', 2, 20)),
      };
      const dataset = await importZip(await zipOf(files), { store });
      const zip = await datasetZip(store, dataset);
      expect(zip.type).toBe('application/zip');
      const entries = await byPython(zip);
      expect(entries.map(({ path, hash }) => [path, hash])).toEqual(
        dataset.images.map(({ path, hash }) => [path, hash]),
      );
      // Stored (0), the first day that MS-DOS knows, sizes before the bytes.
      for (const { rest } of entries) expect(rest).toEqual([0, [1980, 1, 1, 0, 0, 0], 0]);
      const second = await datasetZip(store, dataset);
      expect(Buffer.from(await second.arrayBuffer()).equals(Buffer.from(await zip.arrayBuffer()))).toBe(true);
    },
  );

  it('is imported as the same data set: split folders, flat, odd roots, a folder, names with spaces and accents', async () => {
    const store = memoryDatasetStore();
    const bad = { 'x/readme.txt': 'text', 'x/y/ö é/Train/A/bad.jpg': 'text', 'other/A/1.jpg': await jpeg(90) };
    const archives: Files[] = [
      { ...(await jpegs('Train/A', 9, 0)), ...(await jpegs('Train/B', 9, 10)), ...(await jpegs('Test/B', 2, 20)) },
      { ...bad, ...(await jpegs('x/y/ö é/Train/A/in a', 5, 0)), ...(await jpegs('x/y/ö é/Train/B', 5, 10)) },
      { ...(await jpegs('set-main/Data/Ä (1)', 9, 0)), ...(await jpegs('set-main/Data/B', 9, 10)), 'a/b.txt': 'x' },
      { ...(await jpegs('set\\A', 5, 0)), ...(await jpegs('set\\B', 5, 10)) },
      {
        ...(await jpegs('TRAIN/Cafe\u0301', 5, 0)),
        ...(await jpegs('TRAIN/Test', 5, 10)),
        ...(await jpegs('validation/Test', 1, 20)),
        ...(await jpegs('Test/Unknown', 1, 30)),
      },
    ];
    for (const files of archives) {
      const dataset = await importZip(await zipOf(files), { store });
      expect(dataset.images.length).toBeGreaterThanOrEqual(10);
      expect(identity(await again(store, dataset))).toEqual(identity(dataset));
    }
    const list = Object.entries(archives[2] ?? {}).map(([path, bytes]) => ({
      path: `drop/${path}`,
      file: new Blob([bytes as Uint8Array<ArrayBuffer>]),
    }));
    const folder = await importFiles({ files: list, name: 'drop', source: 'folder' }, optionsFor({ store }));
    expect(identity(await again(store, folder))).toEqual(identity(folder));
  });

  it('carries what was added, splits and classes, through any number of rounds', async () => {
    const store = memoryDatasetStore();
    const flat = await zipOf({ ...(await jpegs('B', 20, 0)), ...(await jpegs('D', 20, 30)) });
    const old = await importZip(flat, { store });
    const file = await zipOf({ ...(await jpegs('C', 6, 100)), ...(await jpegs('D', 6, 110)) });
    const from = { files: [{ path: 'm.zip', file }], name: 'm.zip', source: 'zip' as const };
    const { dataset } = await addFiles(from, { dataset: old, split, members: null }, optionsFor({ store }));
    const back = await importZip(await datasetZip(store, dataset), { store });
    expect(identity(back)).toEqual(identity(dataset));
    const more = await jpegs('E', 4, 200);
    const next = { files: [{ path: 'n.zip', file: await zipOf(more) }], name: 'n.zip', source: 'zip' as const };
    const here = await addFiles(next, { dataset, split, members: null }, optionsFor({ store }));
    const there = await addFiles(next, { dataset: back, split, members: null }, optionsFor({ store }));
    expect(identity(there.dataset)).toEqual(identity(here.dataset));
    expect(identity(await again(store, here.dataset))).toEqual(identity(here.dataset));
  });

  it('keeps classes and splits where the paths alone would not: a path twice, a root that the skipped files told', async () => {
    const store = memoryDatasetStore();
    const twice = await zipWithTwo('Train/A/1.jpg', {
      ...(await jpegs('Train/A', 1, 5)),
      ...(await jpegs('Train/B', 2, 9)),
    });
    const rootLost = await zipOf({
      ...Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`A/${i}.jpg`, 'text'])),
      ...(await jpegs('A', 1, 7)),
      ...(await jpegs('A/deep', 3, 0)),
      ...(await jpegs('B', 1, 10)),
    });
    const merged = async (file: Blob) => {
      const dataset = await importZip(file, { store });
      const back = await again(store, dataset);
      const seen = ({ classes, images }: Dataset) =>
        images.map(({ hash, label, given }) => `${hash} ${classes[label]} ${given}`).sort();
      expect(seen(back)).toEqual(seen(dataset));
      expect(back.classes).toEqual(dataset.classes);
      return dataset;
    };
    expect(
      (await merged(twice)).images.map(({ path }) => path).filter((path) => path === 'Train/A/1.jpg'),
    ).toHaveLength(2);
    expect((await merged(rootLost)).classes).toEqual(['A', 'B']);
  });

  it('loads one shard of originals at a time', async () => {
    const store = memoryDatasetStore();
    const decoder = { decode: () => Promise.resolve({ width: 1000, height: 400, data: new Uint8Array(1_200_000) }) };
    const file = await zipOf({ ...(await jpegs('A', 6, 0)), ...(await jpegs('B', 6, 10)) });
    const dataset = await importZip(file, { store, decoder, imgSize: 512 });
    const loaded: number[] = [];
    await datasetZip(
      { ...store, readOriginals: (id, shard) => (loaded.push(shard), store.readOriginals(id, shard)) },
      dataset,
    );
    expect(loaded).toEqual([0, 1, 2]);
  });
});

/** zip.js refuses a path that is there already; the format does not: written under another name, then renamed in the bytes. */
async function zipWithTwo(path: string, files: Files): Promise<Blob> {
  const other = path.replace(/\.jpg$/, '.jp_');
  const writer = new ZipWriter(new BlobWriter(), { useWebWorkers: false });
  for (const [name, bytes] of Object.entries({ ...files, [path]: await jpeg(1), [other]: await jpeg(2) }))
    await writer.add(name, new Uint8ArrayReader(bytes as Uint8Array));
  const bytes = Buffer.from(await (await writer.close()).arrayBuffer());
  for (let at = bytes.indexOf(other); at >= 0; at = bytes.indexOf(other, at)) bytes.write(path, at, 'latin1');
  return new Blob([bytes]);
}
