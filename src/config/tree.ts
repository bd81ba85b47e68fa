/** Settings before they are validated: sections of values, as YAML, a URL or the page gives them. */
export type ConfigValue = string | number | boolean | null | readonly ConfigValue[] | ConfigTree;
export interface ConfigTree {
  readonly [key: string]: ConfigValue;
}

export function isSection(value: unknown): value is ConfigTree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Settings whose value is a map, by names that the user gives: one value, replaced whole, as lists are. */
const maps: ReadonlySet<string> = new Set(['training.class_weights']);

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

/** Later wins; sections are merged, everything else (lists and maps too) is replaced. Neither argument is changed. */
export function mergeTrees(under: ConfigTree, over: ConfigTree): ConfigTree {
  return merged(under, over, '');
}

function merged(under: ConfigTree, over: ConfigTree, prefix: string): ConfigTree {
  const all = new Map(Object.entries(under));
  for (const [key, value] of Object.entries(over)) {
    const below = all.get(key);
    const path = prefix + key;
    const bothSections = !maps.has(path) && isSection(value) && isSection(below);
    all.set(key, bothSections ? merged(below, value, `${path}.`) : value);
  }
  return Object.fromEntries(all);
}

/** Paths of all values that are not sections, in order: `data.source`, `data.sample.seed`, … */
export function leafPaths(tree: ConfigTree, prefix = ''): string[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    isSection(value) && !maps.has(prefix + key) ? leafPaths(value, `${prefix}${key}.`) : [prefix + key],
  );
}
