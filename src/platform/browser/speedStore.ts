import type { Speeds, SpeedStore } from '../../engine/types.ts';
import { recordsOf } from '../records.ts';
import { keyValue, type KeyValue } from './keyValue.ts';

interface StoredSpeeds extends Speeds {
  readonly schema: 1;
}

const stored = recordsOf<StoredSpeeds>('measurement');

/**
 * In a database of their own, which comes with the first question: without a real GPU there is none. Another version of the browser compiles
 * otherwise, and is asked anew.
 */
export function speedStore(
  open: () => KeyValue = () => keyValue('pacerid-speeds', 'a measurement'),
  browser = navigator.userAgent,
): SpeedStore {
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
