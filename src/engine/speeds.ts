import { wasmThreads } from './adapter.ts';
import { SPEED_FORM } from './speed.ts';
import type { AdapterReport, EngineEnvironment, Speeds } from './types.ts';

/** Found in this process: where nothing can be stored, and of what failed, which is not stored. */
const found = new Map<string, Speeds>();

/**
 * How fast this GPU and wasm are here: as measured before, for the same adapter and as many threads, else measured now and kept. Null: it
 * isn't known, and nobody is to measure. `anew`: what was measured before doesn't count. `mayMeasure`: nothing else is at work.
 */
export async function speedsOf(
  { vendor, architecture, description }: Pick<AdapterReport, 'vendor' | 'architecture' | 'description'>,
  environment: EngineEnvironment,
  { anew, mayMeasure }: { readonly anew: boolean; readonly mayMeasure: boolean },
  measure: (candidate: 'webgpu' | 'wasm') => Promise<number>,
): Promise<Speeds | null> {
  const { speeds: store } = environment;
  if (store === undefined) return null;
  const measures = mayMeasure && store.write !== null;
  const key = JSON.stringify([SPEED_FORM, vendor, architecture, description, wasmThreads(environment)]);
  if (!(anew && measures)) {
    const known = found.get(key) ?? (await store.read(key).catch(() => undefined));
    if (known !== undefined) return known;
    if (!measures) return null;
  }
  // One after the other, each with the computer for itself.
  const wasm = await measure('wasm');
  const speeds = { webgpu: await measure('webgpu'), wasm };
  found.set(key, speeds);
  if (speeds.webgpu > 0 && wasm > 0) await store.write!(key, speeds).catch(() => undefined);
  return speeds;
}
