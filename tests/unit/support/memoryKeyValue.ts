import type { KeyValue } from '../../../src/platform/browser/keyValue.ts';

/** A database in memory that notes each transaction that writes. */
export function memoryKeyValue(): { records: KeyValue; held: Map<string, unknown>; writes: string[][] } {
  const held = new Map<string, unknown>();
  const writes: string[][] = [];
  const sorted = (prefix: string): string[] => [...held.keys()].filter((key) => key.startsWith(prefix)).sort();
  const setMany = (entries: [string, unknown][]): Promise<void> => {
    writes.push(entries.map(([key]) => key));
    for (const [key, value] of entries) held.set(key, structuredClone(value));
    return Promise.resolve();
  };
  const delMany = (keys: string[]): Promise<void> => {
    for (const key of keys) held.delete(key);
    return Promise.resolve();
  };
  const records: KeyValue = {
    get: <T>(key: string) => Promise.resolve(held.get(key) as T | undefined),
    set: (key, value) => setMany([[key, value]]),
    append: (prefix, value) => {
      const last = sorted(prefix).at(-1);
      const next = last === undefined ? 0 : Number(last.slice(prefix.length)) + 1;
      return setMany([[`${prefix}${String(next).padStart(8, '0')}`, value]]);
    },
    setMany,
    delMany,
    del: (key) => delMany([key]),
    keys: (prefix) => Promise.resolve(sorted(prefix)),
    entries: <T>(prefix: string) =>
      Promise.resolve(sorted(prefix).map((key): [string, T] => [key, held.get(key) as T])),
  };
  return { records, held, writes };
}
