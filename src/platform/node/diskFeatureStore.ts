import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FeatureSet, FeatureStore } from '../../training/types.ts';

/** 500,000 images' 1,024 features. */
const MOST_BYTES = 2 ** 30;

/**
 * Features in a folder: `DATASET-ID/N`, a chunk a file, DATASET being the first 16 digits of the data set's hash. When a set was last
 * used is its folder's time of change. Several processes may share it: whatever one removes the other computes.
 */
export function diskFeatureStore(folder: string, most = MOST_BYTES): FeatureStore {
  const nameOf = ({ dataset, id }: FeatureSet): string => `${dataset.slice(0, 16)}-${id}`;
  const listed = (path: string): Promise<string[]> => readdir(path).catch((): string[] => []);
  const about = (path: string) => stat(path).catch(() => null);
  const sizeOf = async (name: string): Promise<number> => {
    const files = await listed(join(folder, name));
    const sizes = await Promise.all(files.map(async (file) => (await about(join(folder, name, file)))?.size ?? 0));
    return sizes.reduce((sum, size) => sum + size, 0);
  };
  const remove = (name: string): Promise<void> => rm(join(folder, name), { recursive: true, force: true });
  /** Bytes of the other sets, looked at when a set is first written to. */
  let counted: { readonly name: string; others: number; own: number } | null = null;

  const makeRoom = async (name: string, bytes: number): Promise<void> => {
    if (counted?.name !== name) {
      const others = (await listed(folder)).filter((one) => one !== name);
      const sizes = await Promise.all(others.map(sizeOf));
      counted = { name, others: sizes.reduce((sum, size) => sum + size, 0), own: await sizeOf(name) };
    }
    if (counted.own + bytes > most) throw new Error(`Features of ${name} would take more than ${most} bytes.`);
    if (counted.own + counted.others + bytes > most) {
      const others = (await listed(folder)).filter((one) => one !== name);
      const used = await Promise.all(others.map(async (one) => (await about(join(folder, one)))?.mtimeMs ?? 0));
      const oldestFirst = others.map((one, i) => ({ one, at: used[i] as number })).sort((a, b) => a.at - b.at);
      for (const { one } of oldestFirst) {
        if (counted.own + counted.others + bytes <= most) break;
        counted.others -= await sizeOf(one);
        await remove(one);
      }
    }
    counted.own += bytes;
  };

  return {
    read: async (set) => {
      const path = join(folder, nameOf(set));
      const now = new Date();
      await utimes(path, now, now).catch(() => undefined);
      const found = new Map<number, Uint8Array>();
      // One after another: a process may have few files open at once, and a set may be thousands.
      for (const name of await listed(path)) {
        const bytes = await readFile(join(path, name)).catch(() => null);
        if (bytes !== null) found.set(Number(name), bytes);
      }
      return found;
    },
    write: async (set, chunk, bytes) => {
      await makeRoom(nameOf(set), bytes.length);
      const path = join(folder, nameOf(set));
      await mkdir(path, { recursive: true });
      // Neither flushed to the disk, for which a pass would wait longer than for the network, nor whole or not at all: who reads
      // checks the bytes.
      await writeFile(join(path, String(chunk).padStart(6, '0')), bytes);
    },
    delete: async (dataset) => {
      for (const name of await listed(folder))
        if (dataset === null || name.startsWith(`${dataset.slice(0, 16)}-`)) await remove(name);
    },
    storedBytes: async () => {
      const sizes = await Promise.all((await listed(folder)).map(sizeOf));
      return sizes.reduce((sum, size) => sum + size, 0);
    },
  };
}
