import type { FeatureStore } from '../../training/types.ts';
import { recordsOf } from '../records.ts';
import { keyValue, type KeyValue } from './keyValue.ts';
import { room } from './room.ts';

/** One set of features: what is needed to find it, count it, and choose what goes. */
interface StoredSet {
  readonly schema: 1;
  readonly id: string;
  readonly dataset: string;
  /** ms since the epoch. */
  readonly usedAt: number;
  readonly bytes: number;
}

const sets = recordsOf<StoredSet>('set of features');

/** 130,000 images' 1,024 features. */
const MOST_BYTES = 256 * 2 ** 20;
/** A cache leaves this much of what the browser grants to data sets and checkpoints. */
const LEFT_TO_OTHERS = 512 * 2 ** 20;

/** There is room, but not for a cache. */
class TooLittleRoomError extends Error {}

/**
 * `set/ID` for the record, `chunk/ID/N` for its chunks, in a database of their own; a chunk and the record that counts it are one
 * transaction. Sets that a newer page stored are neither read nor made room of; who deletes everything deletes them.
 */
export function featureStore(
  records: KeyValue = keyValue('pacerid-features', 'features of images'),
  { most = MOST_BYTES, free = room } = {},
): FeatureStore {
  const setKey = (id: string): string => `set/${id}`;
  const chunkKey = (id: string, chunk: number): string => `chunk/${id}/${String(chunk).padStart(6, '0')}`;
  const all = async (): Promise<StoredSet[]> => sets.known((await records.entries('set/')).map(([, stored]) => stored));
  const remove = async (some: readonly StoredSet[]): Promise<void> => {
    for (const { id } of some) await records.delMany([setKey(id), ...(await records.keys(`chunk/${id}/`))]);
  };
  /** One run writes at a time, and the sets that it uses are the newest. */
  const makeRoom = async (id: string, bytes: number): Promise<void> => {
    const kept = await all();
    let total = bytes + kept.reduce((sum, one) => sum + one.bytes, 0);
    for (const oldest of kept.filter((one) => one.id !== id).sort((a, b) => a.usedAt - b.usedAt)) {
      if (total <= most) return;
      await remove([oldest]);
      total -= oldest.bytes;
    }
    if (total > most) throw new TooLittleRoomError();
  };
  /** The browser is slow to say what is free, and a chunk is small: asked once for each set. */
  let roomFor: string | null = null;
  return {
    read: async ({ id }) => {
      const stored = await records.get(setKey(id));
      if (stored === undefined || sets.isNewer(stored)) return new Map();
      await records.set(setKey(id), { ...(sets.read(stored) as StoredSet), usedAt: Date.now() });
      const chunks = await records.entries<Uint8Array>(`chunk/${id}/`);
      return new Map(chunks.map(([key, bytes]) => [Number(key.split('/').at(-1)), bytes]));
    },
    write: async ({ id, dataset }, chunk, bytes) => {
      const left = roomFor === id ? null : await free();
      if (left !== null && left < LEFT_TO_OTHERS) throw new TooLittleRoomError();
      roomFor = id;
      await makeRoom(id, bytes.length);
      const stored = await records.get(setKey(id));
      const before = sets.read(stored)?.bytes ?? 0;
      const replaced = (await records.get<Uint8Array>(chunkKey(id, chunk)))?.length ?? 0;
      const set: StoredSet = {
        schema: 1,
        id,
        dataset,
        usedAt: Date.now(),
        bytes: before - replaced + bytes.length,
      };
      await records.setMany([
        [chunkKey(id, chunk), bytes],
        [setKey(id), set],
      ]);
    },
    delete: async (dataset) => {
      if (dataset === null) await records.delMany([...(await records.keys('set/')), ...(await records.keys('chunk/'))]);
      else await remove((await all()).filter((one) => one.dataset === dataset));
    },
    storedBytes: async () => (await all()).reduce((sum, one) => sum + one.bytes, 0),
  };
}
