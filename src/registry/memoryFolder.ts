import type { Folder } from './types.ts';

/** A folder that is gone with the process: to look at a version before it is written. */
export function memoryFolder(): Folder {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const inside = (path: string): string => (path === '' ? '' : `${path}/`);
  return {
    list: (path) => {
      const names = [...files.keys()]
        .filter((file) => file.startsWith(inside(path)))
        .map((file) => file.slice(inside(path).length).replace(/\/.*/, '/'));
      return Promise.resolve([...new Set(names)].sort());
    },
    read: (path) => Promise.resolve(files.get(path)),
    write: (path, bytes) => Promise.resolve(void files.set(path, bytes)),
    remove: (path) => {
      for (const file of files.keys()) if (file === path || file.startsWith(inside(path))) files.delete(file);
      return Promise.resolve();
    },
  };
}
