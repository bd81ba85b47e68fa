import type { Cuts, CutStore, Speeds, SpeedStore } from '../../engine/types.ts';
import { recordsOf } from '../records.ts';
import { keyValue, type KeyValue } from './keyValue.ts';

interface StoredSpeeds extends Speeds {
  readonly schema: 1;
}

const stored = recordsOf<StoredSpeeds>('measurement');

interface StoredCuts {
  readonly schema: 1;
  readonly chosen: Cuts['chosen'];
}

const storedCuts = recordsOf<StoredCuts>('measurement');

const database = (): KeyValue => keyValue('pacerid-speeds', 'a measurement');

/**
 * In a database of their own, which comes with the first question: without a real GPU there is none. Another version of the browser compiles
 * otherwise, and is asked anew.
 */
export function speedStore(open: () => KeyValue = database, browser = navigator.userAgent): SpeedStore {
  let opened: KeyValue | undefined;
  const records = (): KeyValue => (opened ??= open());
  const keyOf = (key: string): string => `speed/${browser}/${key}`;
  return {
    read: async (key) => {
      const found = await records().get(keyOf(key));
      if (found === undefined || stored.isNewer(found)) return undefined;
      const { webgpu, wasm } = stored.read(found)!;
      return { webgpu, wasm };
    },
    write: async (key, { webgpu, wasm }) => {
      stored.assertOurs(await records().get(keyOf(key)));
      await records().set(keyOf(key), { schema: 1, webgpu, wasm } satisfies StoredSpeeds);
    },
  };
}

/** In the same database, under keys of their own. */
export function cutStore(open: () => KeyValue = database, browser = navigator.userAgent): CutStore {
  let opened: KeyValue | undefined;
  const records = (): KeyValue => (opened ??= open());
  const keyOf = (key: string): string => `cuts/${browser}/${key}`;
  return {
    read: async (key) => {
      const found = await records().get(keyOf(key));
      return found === undefined || storedCuts.isNewer(found) ? undefined : storedCuts.read(found)!.chosen;
    },
    write: async (key, chosen) => {
      storedCuts.assertOurs(await records().get(keyOf(key)));
      await records().set(keyOf(key), { schema: 1, chosen } satisfies StoredCuts);
    },
  };
}
