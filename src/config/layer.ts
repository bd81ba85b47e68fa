import type { ConfigTree } from './tree.ts';

export interface Place {
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
}

/** Settings from one origin; layers are merged, later ones win. */
export interface ConfigLayer {
  /** `configs/base.yaml`, `address`, `command line`, `page`: shown beside each value. */
  readonly source: string;
  /** Some of the settings, each valid by itself. */
  readonly values: ConfigTree;
  /** Where the value stands in the file; null where there is no file. */
  placeOf(path: string): Place | null;
}

/** Settings made on the page or by code. They are validated when the layers are resolved. */
export function layerOf(source: string, values: ConfigTree): ConfigLayer {
  return { source, values, placeOf: () => null };
}
