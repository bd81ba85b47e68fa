import { createStore, del, delMany, get, promisifyRequest, set, setMany } from 'idb-keyval';
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

/** The browser gives this page no database: a private window, a policy, a damaged profile. */
export class StorageUnavailableError extends UserError {
  constructor(cause: unknown) {
    super(
      `The browser does not let this page store anything (${cause instanceof Error ? cause.message : 'no reason'}).`,
      {
        kept: 'What was stored before, if anything, is untouched.',
        remedy:
          'Open the page in an ordinary window, not a private one; allow it to store site data; then reload. Restart the browser if that does not help.',
        cause,
      },
    );
  }
}

const UNAVAILABLE = new Set(['SecurityError', 'InvalidStateError', 'UnknownError', 'NotAllowedError']);

/**
 * One IndexedDB database with one store of string keys. Each call is one transaction: `setMany` writes all or nothing.
 * Throws `StorageFullError` where the browser says QuotaExceededError, `StorageUnavailableError` where it gives no database.
 */
export interface KeyValue {
  get<T>(key: string): Promise<T | undefined>;
  set(key: string, value: unknown): Promise<void>;
  /** Under `prefix` and the number after the highest that is there, from 0, padded to eight digits: whoever else appends takes another. */
  append(prefix: string, value: unknown): Promise<void>;
  setMany(entries: [string, unknown][]): Promise<void>;
  delMany(keys: string[]): Promise<void>;
  del(key: string): Promise<void>;
  /** Keys that begin with `prefix`, sorted. */
  keys(prefix: string): Promise<string[]>;
  entries<T>(prefix: string): Promise<[string, T][]>;
}

function under(prefix: string): IDBKeyRange {
  return IDBKeyRange.bound(prefix, `${prefix}\uffff`);
}

export function keyValue(database: string, what: string): KeyValue {
  const store = createStore(database, 'records');
  const guarded = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (error instanceof DOMException && error.name === 'QuotaExceededError') throw new StorageFullError(what, error);
      if (error instanceof DOMException && UNAVAILABLE.has(error.name)) throw new StorageUnavailableError(error);
      throw error;
    }
  };
  return {
    get: (key) => guarded(get(key, store)),
    set: (key, value) => guarded(set(key, value, store)),
    append: (prefix, value) =>
      guarded(
        store('readwrite', async (records) => {
          const last = await promisifyRequest(records.openKeyCursor(under(prefix), 'prev'));
          const next = last === null ? 0 : Number((last.key as string).slice(prefix.length)) + 1;
          await promisifyRequest(records.put(value, `${prefix}${String(next).padStart(8, '0')}`));
          await promisifyRequest(records.transaction);
        }),
      ),
    setMany: (list) => guarded(setMany(list, store)),
    del: (key) => guarded(del(key, store)),
    delMany: (list) => guarded(delMany(list, store)),
    keys: (prefix) =>
      guarded(
        store('readonly', (records) => promisifyRequest(records.getAllKeys(under(prefix)) as IDBRequest<string[]>)),
      ),
    // By range, not by reading everything and filtering: beside small records lie large ones.
    entries: <T>(prefix: string) =>
      guarded(
        store('readonly', async (records) => {
          const [names, values] = await Promise.all([
            promisifyRequest(records.getAllKeys(under(prefix)) as IDBRequest<string[]>),
            promisifyRequest(records.getAll(under(prefix)) as IDBRequest<T[]>),
          ]);
          return names.map((name, i): [string, T] => [name, values[i] as T]);
        }),
      ),
  };
}
