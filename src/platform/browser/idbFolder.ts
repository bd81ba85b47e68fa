import type { Folder } from '../../registry/types.ts';
import { keyValue, type KeyValue } from './keyValue.ts';

/** A folder in IndexedDB: a file's bytes under its path. Each write and each removal is one transaction. */
export function idbFolder(records: KeyValue = keyValue('pacerid-registry', 'this version')): Folder {
  const key = (path: string): string => `file/${path}`;
  const inside = (path: string): string => (path === '' ? 'file/' : `file/${path}/`);
  return {
    list: async (path) => {
      const under = inside(path);
      const names = (await records.keys(under)).map((found) => {
        const [name = '', ...deeper] = found.slice(under.length).split('/');
        return deeper.length > 0 ? `${name}/` : name;
      });
      return [...new Set(names)].sort();
    },
    read: (path) => records.get<Uint8Array<ArrayBuffer>>(key(path)),
    write: (path, bytes) => records.set(key(path), bytes),
    remove: async (path) =>
      records.delMany([...(path === '' ? [] : [key(path)]), ...(await records.keys(inside(path)))]),
  };
}
