import type { Page } from '@playwright/test';

export interface StoredImage {
  readonly path: string;
  readonly width: number;
  readonly height: number;
  readonly cache: string;
  readonly original: string;
}

/** The newest data set's images, straight out of IndexedDB; bytes as binary strings. */
export async function storedImages(page: Page): Promise<StoredImage[]> {
  return page.evaluate(async () => {
    const answer = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error('IndexedDB does not answer.'));
      });
    const database = await answer(indexedDB.open('pacerid-datasets'));
    const store = database.transaction('records').objectStore('records');
    const keys = (await answer(store.getAllKeys())).map(String);
    const values = (await answer(store.getAll())) as unknown[];
    database.close();
    const all = new Map(keys.map((key, i) => [key, values[i]]));
    interface Record {
      id: string;
      createdAt: number;
      images: {
        path: string;
        shard: number;
        cacheOffset: number;
        cacheWidth: number;
        cacheHeight: number;
        originalOffset: number;
        fileBytes: number;
      }[];
    }
    const [newest] = keys
      .filter((key) => key.startsWith('dataset/'))
      .map((key) => all.get(key) as Record)
      .sort((a, b) => b.createdAt - a.createdAt);
    const text = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
    return (newest?.images ?? []).map((image) => {
      const shard = `${newest?.id}/${String(image.shard).padStart(6, '0')}`;
      const caches = all.get(`cache/${shard}`) as Uint8Array;
      const originals = all.get(`original/${shard}`) as Uint8Array;
      const { path, cacheOffset, cacheWidth: width, cacheHeight: height, originalOffset, fileBytes } = image;
      const cache = text(caches.subarray(cacheOffset, cacheOffset + width * height * 3));
      return {
        path,
        width,
        height,
        cache,
        original: text(originals.subarray(originalOffset, originalOffset + fileBytes)),
      };
    });
  });
}
