import type { Stored } from './messages.ts';

/** A file of the built page, from the list that the build puts into the service worker. */
export interface PageFile {
  /** Relative to the page's folder. */
  readonly url: string;
  /** `sha256-…`, as the build wrote it. */
  readonly integrity: string;
}

/**
 * The page's files in the browser's cache, each under its address and its checksum: two builds lie side by side until the newer one
 * takes over. What a host or a proxy changed on the way is not what was built, and is not kept.
 */
export interface PageFiles {
  /** Whether this address is one of the page's files, kept or not. */
  owns(address: string): boolean;
  /** The cached file at this address; undefined where it isn't one of the page's, or isn't there yet. */
  find(address: string): Promise<Response | undefined>;
  /** Fetches what is missing. `onProgress` is told after each file, at the end too; never rejects. */
  store(onProgress: (stored: Stored) => void): Promise<Stored>;
  /** Removes files of other builds. */
  forgetOthers(): Promise<void>;
}

const isDocument = (url: string): boolean => url.endsWith('.html');

export function pageFiles(
  caches: CacheStorage,
  cacheName: string,
  folder: string,
  list: readonly PageFile[],
): PageFiles {
  const keyOf = ({ url, integrity }: PageFile): string => {
    const key = new URL(url, folder);
    key.searchParams.set('integrity', integrity);
    return key.href;
  };
  const keys = new Map(list.map((file) => [new URL(file.url, folder).href, keyOf(file)]));
  const cache = (): Promise<Cache> => caches.open(cacheName);

  const fetchInto = async (into: Cache, file: PageFile): Promise<void> => {
    const address = new URL(file.url, folder).href;
    const response = await fetch(address, { cache: 'no-cache', integrity: file.integrity });
    if (!response.ok) throw new Error(`${file.url}: HTTP ${response.status}`);
    const headers = new Headers(response.headers);
    // The key says all that this file depends on; what says `*` could not be kept at all.
    headers.delete('vary');
    // A redirected response may not answer a navigation: its copy may.
    await into.put(keyOf(file), new Response(response.body, { status: 200, headers }));
  };

  const keyAt = (address: string): string | undefined => {
    const url = new URL(address);
    url.hash = '';
    url.search = '';
    if (url.pathname.endsWith('/')) url.pathname += 'index.html';
    return keys.get(url.href);
  };

  return {
    owns: (address) => keyAt(address) !== undefined,
    find: async (address) => {
      const key = keyAt(address);
      return key === undefined ? undefined : (await cache()).match(key);
    },
    store: async (onProgress) => {
      const files = list.length;
      let missing = files;
      const tell = (failure: string | null): Stored => {
        const stored = { files, missing, failure };
        onProgress(stored);
        return stored;
      };
      try {
        const into = await cache();
        const there = new Set((await into.keys()).map(({ url }) => url));
        // Documents last: one that is here finds all that it asks for, also when the host has a newer build by then.
        const wanted = [
          ...list.filter(({ url }) => !isDocument(url)),
          ...list.filter(({ url }) => isDocument(url)),
        ].filter((file) => !there.has(keyOf(file)));
        missing = wanted.length;
        // One after the other: the page that is open may need the connection.
        for (const file of wanted) {
          tell(null);
          await fetchInto(into, file);
          missing -= 1;
        }
        return tell(null);
      } catch (error) {
        return tell(error instanceof Error ? error.message : String(error));
      }
    },
    forgetOthers: async () => {
      const ours = new Set(keys.values());
      const into = await cache();
      const others = (await into.keys()).filter(({ url }) => !ours.has(url));
      await Promise.all(others.map((request) => into.delete(request)));
    },
  };
}
