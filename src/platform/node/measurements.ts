import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from './atomicWrite.ts';

/** What was measured on this computer: JSON by key, in one file. */
export interface Measurements {
  read(key: string): Promise<unknown>;
  write(key: string, value: unknown): Promise<void>;
}

/** `name` in a folder, by Node's version and key; a file that can't be read is none. `folder` is asked for when it's needed. */
export function diskMeasurements(folder: () => string | null, name: string, version = process.version): Measurements {
  const file = (): string | null => {
    const found = folder();
    return found === null ? null : join(found, name);
  };
  const all = async (): Promise<Record<string, unknown>> => {
    const path = file();
    if (path === null) return {};
    try {
      return JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    } catch {
      return {};
    }
  };
  const keyOf = (key: string): string => `${version} ${key}`;
  return {
    read: async (key) => (await all())[keyOf(key)],
    write: async (key, value) => {
      const path = file();
      if (path === null) return;
      await writeWhole(path, JSON.stringify({ ...(await all()), [keyOf(key)]: value }, null, 1));
    },
  };
}
