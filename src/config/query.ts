import { isSectionPath } from './describe.ts';
import type { ConfigLayer } from './layer.ts';
import { layerFromPairs } from './overrides.ts';

/**
 * Overrides in the page's address: `?training.epochs=30&data.batch_size=16`. Keys that look like a path (`a.b`, or the name
 * of a section) must be settings, else `ConfigError`; other keys (`?utm_source=…`) are none of ours and are left alone.
 */
export function overridesFromQuery(search: string): ConfigLayer {
  const pairs = [...new URLSearchParams(search)].filter(([key]) => isSectionPath(key) || /^\w+(\.\w+)+$/.test(key));
  return layerFromPairs('address', pairs);
}
