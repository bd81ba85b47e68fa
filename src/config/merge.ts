import { ConfigError } from './errors.ts';
import type { ConfigLayer } from './layer.ts';
import { configSchema, type Config } from './schema.ts';
import { leafPaths, mergeTrees, type ConfigTree } from './tree.ts';
import { issuesOf } from './validate.ts';

export interface ResolvedConfig {
  readonly config: Config;
  /** Path of each setting → the source that gave its value: `configs/base.yaml`, `address`, … */
  readonly sources: ReadonlyMap<string, string>;
}

/**
 * The effective configuration: layers merged in order, the last one wins, lists are replaced whole; `cuda` becomes `auto`.
 * Throws `ConfigError` naming the layer (and its line) that gave a wrong value.
 */
export function resolveConfig(layers: readonly ConfigLayer[]): ResolvedConfig {
  const merged = layers.reduce<ConfigTree>((under, layer) => mergeTrees(under, layer.values), {});
  const givenBy = new Map<string, ConfigLayer>();
  for (const layer of layers) for (const path of leafPaths(layer.values)) givenBy.set(path, layer);

  const originOf = (path: string) => {
    const layer = givenBy.get(path) ?? layers.findLast((candidate) => candidate.placeOf(path) !== null);
    return {
      source: layer?.source ?? layers.map(({ source }) => source).join(' + '),
      place: layer?.placeOf(path) ?? null,
    };
  };
  const issues = issuesOf(merged, { partial: false, originOf });
  if (issues.length > 0) throw new ConfigError(issues);

  const config = configSchema.parse(merged);
  if (config.training.device === 'cuda') config.training.device = 'auto';
  return { config, sources: new Map([...givenBy].map(([path, layer]) => [path, layer.source])) };
}
