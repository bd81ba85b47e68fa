import { clear, createStore, del, delMany, entries, get, keys, set, setMany } from 'idb-keyval';
import { UserError } from '../../errors.ts';

/** The disk, or the share of it that the browser grants this page, is full. */
export class StorageFullError extends UserError {
  constructor(what: string, cause: unknown) {
    super(`There is no room left on this computer for ${what}.`, {
      kept: 'What was stored before is untouched; the part that did not fit was removed.',
      remedy: 'Delete a data set or a run under “Storage”, or free disk space, then try again.',
      cause,
    });
  }
}

/**
 * One IndexedDB database with one store of string keys. Each call is one transaction: `setMany` writes all or nothing.
 * Throws `StorageFullError` where the browser says QuotaExceededError.
 */
export interface KeyValue {
  get<T>(key: string): Promise<T | undefined>;
  set(key: string, value: unknown): Promise<void>;
  setMany(entries: [string, unknown][]): Promise<void>;
  delMany(keys: string[]): Promise<void>;
  del(key: string): Promise<void>;
  /** Keys that begin with `prefix`, sorted. */
  keys(prefix: string): Promise<string[]>;
  entries<T>(prefix: string): Promise<[string, T][]>;
  clear(): Promise<void>;
}

export function keyValue(database: string, what: string): KeyValue {
  const store = createStore(database, 'records');
  const guarded = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (error instanceof DOMException && error.name === 'QuotaExceededError') throw new StorageFullError(what, error);
      throw error;
    }
  };
  return {
    get: (key) => guarded(get(key, store)),
    set: (key, value) => guarded(set(key, value, store)),
    setMany: (list) => guarded(setMany(list, store)),
    del: (key) => guarded(del(key, store)),
    delMany: (list) => guarded(delMany(list, store)),
    keys: async (prefix) => (await guarded(keys<string>(store))).filter((key) => key.startsWith(prefix)).sort(),
    entries: async <T>(prefix: string) =>
      (await guarded(entries<string, T>(store))).filter(([key]) => key.startsWith(prefix)),
    clear: () => guarded(clear(store)),
  };
}
