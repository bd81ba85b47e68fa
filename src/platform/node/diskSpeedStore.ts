import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Speeds, SpeedStore } from '../../engine/types.ts';
import { writeWhole } from './atomicWrite.ts';

/** `speeds.json` in a folder, by Node's version and key; a file that can't be read is none. `folder` is asked for when it's needed. */
export function diskSpeedStore(folder: () => string | null, version = process.version): SpeedStore {
  const file = (): string | null => {
    const found = folder();
    return found === null ? null : join(found, 'speeds.json');
  };
  const all = async (): Promise<Record<string, Speeds>> => {
    const path = file();
    if (path === null) return {};
    try {
      return JSON.parse(await readFile(path, 'utf8')) as Record<string, Speeds>;
    } catch {
      return {};
    }
  };
  const keyOf = (key: string): string => `${version} ${key}`;
  return {
    read: async (key) => {
      const found = (await all())[keyOf(key)] as Partial<Speeds> | undefined;
      const { webgpu, wasm } = found ?? {};
      return typeof webgpu === 'number' && typeof wasm === 'number' ? { webgpu, wasm } : undefined;
    },
    write: async (key, speeds) => {
      const path = file();
      if (path === null) return;
      await writeWhole(path, JSON.stringify({ ...(await all()), [keyOf(key)]: speeds }, null, 1));
    },
  };
}
