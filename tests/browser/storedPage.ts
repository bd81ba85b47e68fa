/**
 * What a page keeps in a browser, as one file: every record of its IndexedDB databases and its localStorage. A file is Brotli over
 * `[length of the JSON, uint32 little-endian][JSON][bytes]`; in the JSON an array of bytes or numbers stands as
 * `{ $array: [type, offset, byteLength] }`, and what JSON has no word for as `{ $value: 'NaN' }` or `{ $value: 'undefined' }`. Brotli's
 * window spans the file, so weights that lie there four times cost their bytes once.
 */
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import type { Page } from '@playwright/test';

interface StoredDatabase {
  readonly name: string;
  readonly version: number;
  readonly stores: readonly { readonly name: string; readonly entries: readonly (readonly [string, unknown])[] }[];
}
export interface StoredPage {
  readonly databases: readonly StoredDatabase[];
  readonly local: Readonly<Record<string, string>>;
}

const arrays = { Uint8Array, Int32Array, Uint32Array, Float32Array, Float64Array };

export function pack(content: unknown): Buffer {
  const parts: Uint8Array[] = [];
  let length = 0;
  const plain = (value: unknown): unknown => {
    if (ArrayBuffer.isView(value) && value.constructor.name in arrays) {
      parts.push(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
      length += value.byteLength;
      return { $array: [value.constructor.name, length - value.byteLength, value.byteLength] };
    }
    if (value === undefined || (typeof value === 'number' && !Number.isFinite(value))) return { $value: String(value) };
    if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) return value;
    if (Array.isArray(value)) return value.map(plain);
    if (Object.getPrototypeOf(value) !== Object.prototype)
      throw new Error(`A record holds what this file has no form for: ${Object.prototype.toString.call(value)}`);
    return Object.fromEntries(Object.entries(value as object).map(([key, inner]) => [key, plain(inner)]));
  };
  const json = Buffer.from(JSON.stringify(plain(content)));
  const head = Buffer.alloc(4);
  head.writeUInt32LE(json.length);
  const whole = Buffer.concat([head, json, ...parts]);
  return brotliCompressSync(whole, {
    params: {
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: whole.length,
    },
  });
}

export function unpack(file: Uint8Array): unknown {
  const whole = brotliDecompressSync(file);
  const bytesFrom = 4 + whole.readUInt32LE(0);
  const full = (value: unknown): unknown => {
    if (value === null || typeof value !== 'object') return value;
    if (Array.isArray(value)) return value.map(full);
    if ('$array' in value) {
      const [type, offset, length] = value.$array as [keyof typeof arrays, number, number];
      const bytes = new Uint8Array(whole.subarray(bytesFrom + offset, bytesFrom + offset + length));
      return new arrays[type](bytes.buffer);
    }
    if ('$value' in value) return value.$value === 'undefined' ? undefined : Number(value.$value);
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, full(inner)]));
  };
  return full(JSON.parse(whole.toString('utf8', 4, bytesFrom)));
}

/** Of the page's origin. To be called where the app itself does not run: a page that is at work writes on. */
export async function dump(page: Page): Promise<StoredPage> {
  return page.evaluate(async () => {
    const answer = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error('IndexedDB does not answer.'));
      });
    const databases: StoredDatabase[] = [];
    for (const { name = '' } of await indexedDB.databases()) {
      const database = await answer(indexedDB.open(name));
      const stores = [];
      for (const storeName of database.objectStoreNames) {
        const store = database.transaction(storeName).objectStore(storeName);
        const [keys, values] = await Promise.all([
          answer(store.getAllKeys()),
          answer(store.getAll() as IDBRequest<unknown[]>),
        ]);
        stores.push({ name: storeName, entries: keys.map((key, i) => [String(key), values[i]] as const) });
      }
      databases.push({ name, version: database.version, stores });
      database.close();
    }
    return { databases: databases.sort((a, b) => (a.name < b.name ? -1 : 1)), local: { ...localStorage } };
  });
}

/** Into the page's origin, where nothing is stored yet and the app does not run. */
export async function fill(page: Page, stored: StoredPage): Promise<void> {
  await page.evaluate(async ({ databases, local }) => {
    for (const [key, value] of Object.entries(local)) localStorage.setItem(key, value);
    for (const { name, version, stores } of databases) {
      const database = await new Promise<IDBDatabase>((resolve, reject) => {
        const request = indexedDB.open(name, version);
        request.onupgradeneeded = () => stores.forEach((store) => request.result.createObjectStore(store.name));
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error('IndexedDB does not open.'));
      });
      for (const { name: storeName, entries } of stores) {
        const writing = database.transaction(storeName, 'readwrite');
        for (const [key, value] of entries) writing.objectStore(storeName).put(value, key);
        await new Promise<void>((resolve, reject) => {
          writing.oncomplete = () => resolve();
          writing.onerror = () => reject(writing.error ?? new Error('IndexedDB does not write.'));
        });
      }
      database.close();
    }
  }, stored);
}
