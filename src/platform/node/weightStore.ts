import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { WeightCache, WeightRecord } from '../../weights/types.ts';
import { writeWhole } from './atomicWrite.ts';

/** Weights files in a folder: `<key>.safetensors`, and `<key>.json` written last, which makes it valid. `/` in keys becomes `__`. */
export function weightStore(folder: string): WeightCache {
  const path = (key: string, extension: string) => join(folder, `${key.replaceAll('/', '__')}.${extension}`);
  const readRecord = async (file: string): Promise<WeightRecord | undefined> => {
    try {
      return JSON.parse(await readFile(file, 'utf8')) as WeightRecord;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  };
  return {
    async list() {
      const names = await readdir(folder).catch((error: unknown) => {
        if (isMissing(error)) return [];
        throw error;
      });
      const files = names.filter((name) => name.endsWith('.json')).sort();
      const records = await Promise.all(files.map((name) => readRecord(join(folder, name))));
      return records.filter((record) => record !== undefined);
    },
    async get(key) {
      const record = await readRecord(path(key, 'json'));
      if (record === undefined) return undefined;
      return { record, bytes: new Uint8Array(await readFile(path(key, 'safetensors'))) };
    },
    async set(record, bytes) {
      await rm(path(record.key, 'json'), { force: true });
      await writeWhole(path(record.key, 'safetensors'), bytes);
      await writeWhole(path(record.key, 'json'), `${JSON.stringify(record, null, 2)}\n`);
    },
    async delete(key) {
      await rm(path(key, 'json'), { force: true });
      await rm(path(key, 'safetensors'), { force: true });
    },
  };
}

const isMissing = (error: unknown) => error instanceof Error && 'code' in error && error.code === 'ENOENT';
