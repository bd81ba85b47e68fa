import { allowedAt, describeSetting, isSectionPath, nearestPath, valueInWords } from './describe.ts';
import type { ConfigIssue } from './errors.ts';
import type { Place } from './layer.ts';
import { configSchema } from './schema.ts';
import { valueAt, type ConfigTree } from './tree.ts';

/**
 * What is wrong with a tree of settings. With `partial`, missing settings are no fault.
 * `originOf` says where a value comes from: source and, in a file, its place.
 */
export function issuesOf(
  tree: ConfigTree,
  options: { partial: boolean; originOf: (path: string) => { source: string; place: Place | null } },
): ConfigIssue[] {
  const result = configSchema.safeParse(tree);
  if (result.success) return [];
  const issues = new Map<string, ConfigIssue>();
  const add = (path: string, message: string) => {
    if (issues.has(path)) return;
    const { source, place } = options.originOf(path);
    issues.set(path, { path, source, line: place?.line ?? null, column: place?.column ?? null, message });
  };
  for (const issue of result.error.issues) {
    const path = settingOf(issue.path);
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        const unknown = path ? `${path}.${key}` : key;
        add(unknown, unknownKeyMessage(unknown));
      }
      continue;
    }
    const found = valueAt(tree, path);
    if (issue.code === 'custom' && issue.params?.['whole'] === true) {
      add(path, issue.message);
    } else if (found === undefined) {
      if (!options.partial) add(path, `${path} is missing; allowed: ${allowedAt(path)}.`);
    } else {
      add(path, `${path} is ${valueInWords(found)}; allowed: ${allowedAt(path)}.`);
    }
  }
  return [...issues.values()];
}

/** The setting of what is wrong: numbers are places in a list and names below it those of a map, and the setting is all of it. */
function settingOf(keys: readonly PropertyKey[]): string {
  let path = '';
  for (const key of keys) {
    if (typeof key !== 'string' || describeSetting(path) !== null) break;
    path = path ? `${path}.${key}` : key;
  }
  return path;
}

/** `training.epoch is no setting; did you mean training.epochs?` */
export function unknownKeyMessage(path: string): string {
  if (isSectionPath(path)) return `${path} is a section; give one of its settings.`;
  const meant = nearestPath(path);
  return `${path} is no setting${meant ? `; did you mean ${meant}?` : ', and nothing has a similar name.'}`;
}
