import type { DatasetStore, ImageEntry } from './types.ts';

/** Large enough that a data set has few records, small enough to load one for a few images. */
const SHARD_BYTES = 4 * 2 ** 20;

export type Address = Pick<ImageEntry, 'shard' | 'cacheOffset' | 'originalOffset'>;

export interface ShardWriter {
  /** Takes both forms of one image; says where they will lie. Waits for the shard before last. */
  add(cache: Uint8Array, original: Uint8Array): Promise<Address>;
  /** Writes what is left. Returns the bytes stored. */
  close(): Promise<number>;
  /** Removes all that was written; never throws. */
  abandon(): Promise<void>;
}

/** Packs images into shards of about 4 MiB; one shard is being written while the next one fills. */
export function shardWriter(store: DatasetStore, id: string): ShardWriter {
  let shard = 0;
  let caches: Uint8Array[] = [];
  let originals: Uint8Array[] = [];
  let cacheBytes = 0;
  let originalBytes = 0;
  let stored = 0;
  let writing: Promise<void> = Promise.resolve();

  const flush = async (): Promise<void> => {
    if (caches.length === 0) return;
    await writing;
    writing = store.writeShard(id, shard, joined(caches, cacheBytes), joined(originals, originalBytes));
    // Thrown where it is awaited, at the next shard or the end.
    writing.catch(() => undefined);
    stored += cacheBytes + originalBytes;
    shard += 1;
    [caches, originals, cacheBytes, originalBytes] = [[], [], 0, 0];
  };

  return {
    add: async (cache, original) => {
      const address = { shard, cacheOffset: cacheBytes, originalOffset: originalBytes };
      caches.push(cache);
      originals.push(original);
      cacheBytes += cache.length;
      originalBytes += original.length;
      if (cacheBytes + originalBytes >= SHARD_BYTES) await flush();
      return address;
    },
    close: async () => {
      await flush();
      await writing;
      return stored;
    },
    abandon: async () => {
      await writing.catch(() => undefined);
      await store.delete(id).catch(() => undefined);
    },
  };
}

function joined(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const out = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
