/** Settings before they are validated: sections of values, as YAML, a URL or the page gives them. */
export type ConfigValue = string | number | boolean | null | readonly ConfigValue[] | ConfigTree;
export interface ConfigTree {
  readonly [key: string]: ConfigValue;
}

export function isSection(value: unknown): value is ConfigTree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value at `training.learning_rate`, or undefined. */
export function valueAt(tree: ConfigTree, path: string): ConfigValue | undefined {
  let at: ConfigValue | undefined = tree;
  for (const key of path.split('.')) {
    if (!isSection(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  return at;
}

/** A tree holding one value. */
export function treeOf(path: string, value: ConfigValue): ConfigTree {
  return path
    .split('.')
    .reduceRight<ConfigValue>((inner, key) => Object.fromEntries([[key, inner]]), value) as ConfigTree;
}

/** Later wins; sections are merged, everything else (lists too) is replaced. Neither argument is changed. */
export function mergeTrees(under: ConfigTree, over: ConfigTree): ConfigTree {
  const merged = new Map(Object.entries(under));
  for (const [key, value] of Object.entries(over)) {
    const below = merged.get(key);
    merged.set(key, isSection(value) && isSection(below) ? mergeTrees(below, value) : value);
  }
  return Object.fromEntries(merged);
}

/** Paths of all values that are not sections, in order: `data.source`, `data.sample.seed`, … */
export function leafPaths(tree: ConfigTree, prefix = ''): string[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    isSection(value) ? leafPaths(value, `${prefix}${key}.`) : [prefix + key],
  );
}
