import { createHash } from 'node:crypto';
import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { NoSuchDatasetError } from '../../dataset/errors.ts';
import type { Dataset, DatasetStore } from '../../dataset/types.ts';
import { writeWhole } from './atomicWrite.ts';
import type { ListedFile } from './files.ts';

export interface DiskDatasetStore extends DatasetStore {
  /** The whole data set that was remembered under this key. */
  findCached(key: string): Promise<Dataset | undefined>;
  remember(key: string, dataset: Dataset): Promise<void>;
  /**
   * Removes what a kill left behind, if nothing was written there for `abandoned` ms (another process may be importing), and what
   * is damaged: a shard that is gone or shorter than its data set's record says. Of the whole ones the `keep` that were asked for
   * last stay, and those that were within `unused` ms: a long run may be reading them.
   */
  sweep(limits: { readonly abandoned: number; readonly keep: number; readonly unused: number }): Promise<void>;
}

/** Data sets that this process has asked for show that they are in use this often, ms. */
const SIGN_OF_USE = 3_600_000;

/** What decides about the caches that an import makes; raise it when they come out differently. */
const FORM = 1;

/** Names the outcome of importing these files: unchanged files are not decoded again. */
export function datasetKey(listing: readonly ListedFile[], imgSize: number): string {
  const lines = listing.map(({ path, bytes, modified }) => JSON.stringify([path, bytes, modified])).sort();
  return createHash('sha256')
    .update([FORM, imgSize, ...lines].join('\n'))
    .digest('hex')
    .slice(0, 32);
}

/**
 * Data sets in a folder: `ID/N.caches`, `ID/N.originals`, and `ID/dataset.json`, written last, which makes it valid;
 * `keys/KEY` holds an ID, and its time of change says when the data set was last in use. No content stays in memory.
 */
export function diskDatasetStore(folder: string): DiskDatasetStore {
  const recordOf = (id: string): string => join(folder, id, 'dataset.json');
  const shardOf = (id: string, shard: number, kind: 'caches' | 'originals'): string =>
    join(folder, id, `${String(shard).padStart(6, '0')}.${kind}`);
  const keyOf = (key: string): string => join(folder, 'keys', key);
  /** Keys that were asked for here. What was read once may be read again a week later: the Test images of a long run. */
  const inUse = new Set<string>();

  const names = async (path: string): Promise<string[]> => orMissing(readdir(path), []);
  const ids = async (): Promise<string[]> => (await names(folder)).filter((name) => name !== 'keys');

  /** The record, where there is a whole one and its shards hold all that it says. */
  const readWhole = async (id: string): Promise<Dataset | undefined> => {
    const dataset = recordFrom(await orMissing(readFile(recordOf(id), 'utf8'), ''), id);
    if (dataset === undefined) return undefined;
    for (const [shard, { caches, originals }] of shardLengths(dataset)) {
      const lengths = [caches, originals];
      for (const [i, kind] of (['caches', 'originals'] as const).entries()) {
        const about = await orMissing(stat(shardOf(id, shard, kind)), null);
        if (about === null || about.size < (lengths[i] ?? 0)) return undefined;
      }
    }
    return dataset;
  };

  /** When a key was last touched decides what is swept, by another process too. */
  const touch = async (key: string): Promise<void> => {
    const now = new Date();
    // Swept all the same, or on a disk that is read-only by now: the work goes on.
    await utimes(keyOf(key), now, now).catch(() => undefined);
  };
  const use = async (key: string): Promise<void> => {
    if (inUse.size === 0) setInterval(() => inUse.forEach((one) => void touch(one)), SIGN_OF_USE).unref();
    inUse.add(key);
    await touch(key);
  };

  const readShard = async (id: string, shard: number, kind: 'caches' | 'originals'): Promise<Uint8Array> => {
    const bytes = await orMissing(readFile(shardOf(id, shard, kind)), null);
    if (bytes === null) throw new NoSuchDatasetError(id);
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  };

  const newest = async (id: string): Promise<number> => {
    const path = join(folder, id);
    const times = [path, ...(await names(path)).map((name) => join(path, name))].map(async (file) => {
      return (await orMissing(stat(file), null))?.mtimeMs ?? 0;
    });
    return Math.max(...(await Promise.all(times)));
  };

  const remove = async (id: string): Promise<void> => {
    // The record first: should this be cut off, the rest is swept.
    await rm(recordOf(id), { force: true });
    await rm(join(folder, id), { recursive: true, force: true });
  };

  return {
    list: async () =>
      (await Promise.all((await ids()).map(readWhole)))
        .filter((dataset) => dataset !== undefined)
        .sort((a, b) => b.createdAt - a.createdAt),
    read: readWhole,
    write: (dataset) => writeWhole(recordOf(dataset.id), `${JSON.stringify(dataset)}\n`),
    writeShard: async (id, shard, caches, originals) => {
      await writeWhole(shardOf(id, shard, 'caches'), caches);
      await writeWhole(shardOf(id, shard, 'originals'), originals);
    },
    readCaches: (id, shard) => readShard(id, shard, 'caches'),
    readOriginals: (id, shard) => readShard(id, shard, 'originals'),
    delete: remove,
    findCached: async (key) => {
      const id = (await orMissing(readFile(keyOf(key), 'utf8'), '')).trim();
      const found = id === '' ? undefined : await readWhole(id);
      if (found !== undefined) await use(key);
      return found;
    },
    remember: async (key, dataset) => {
      await writeWhole(keyOf(key), `${dataset.id}\n`);
      await use(key);
    },
    sweep: async ({ abandoned, keep, unused }) => {
      for (const id of await ids()) {
        if ((await readWhole(id)) !== undefined) continue;
        const damaged = (await orMissing(stat(recordOf(id)), null)) !== null;
        if (damaged || (await newest(id)) <= Date.now() - abandoned) await remove(id);
      }
      const known: { key: string; id: string; used: number }[] = [];
      for (const key of await names(join(folder, 'keys'))) {
        const id = (await orMissing(readFile(keyOf(key), 'utf8'), '')).trim();
        if (id === '' || (await readWhole(id)) === undefined) await rm(keyOf(key), { force: true });
        else known.push({ key, id, used: (await orMissing(stat(keyOf(key)), null))?.mtimeMs ?? 0 });
      }
      known.sort((a, b) => b.used - a.used);
      const kept = new Set(known.slice(0, keep).map(({ id }) => id));
      for (const { key, id, used } of known.slice(keep)) {
        if (used > Date.now() - unused) continue;
        await rm(keyOf(key), { force: true });
        if (!kept.has(id)) await remove(id);
      }
      const named = new Set(known.map(({ id }) => id));
      for (const id of await ids())
        if (!named.has(id) && (await newest(id)) <= Date.now() - abandoned) await remove(id);
    },
  };
}

function recordFrom(text: string, id: string): Dataset | undefined {
  try {
    const dataset = JSON.parse(text) as Dataset;
    return dataset.id === id && Array.isArray(dataset.images) ? dataset : undefined;
  } catch {
    // Empty, cut short or not ours: as if it were not there.
    return undefined;
  }
}

/** Shard → the bytes that its two files must have at least: images that were dropped at the end leave their bytes behind. */
function shardLengths(dataset: Dataset): ReadonlyMap<number, { caches: number; originals: number }> {
  const lengths = new Map<number, { caches: number; originals: number }>();
  for (const image of dataset.images) {
    const known = lengths.get(image.shard) ?? { caches: 0, originals: 0 };
    const cacheEnd = image.cacheOffset + image.cacheWidth * image.cacheHeight * 3;
    const originalEnd = image.originalOffset + image.fileBytes;
    lengths.set(image.shard, {
      caches: Math.max(known.caches, cacheEnd),
      originals: Math.max(known.originals, originalEnd),
    });
  }
  return lengths;
}

async function orMissing<T, U>(asked: Promise<T>, otherwise: U): Promise<T | U> {
  try {
    return await asked;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return otherwise;
    throw error;
  }
}
