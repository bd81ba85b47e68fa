import { parse, stringify } from 'yaml';
import type { VersionDetails, VersionDiff, VersionRecord } from './types.ts';

/** The number differs by itself. */
const EXPECTED = new Set(['output.version']);

export function versionDiff(a: VersionDetails, b: VersionDetails): VersionDiff {
  const [before, after] = [settingsOf(a.config), settingsOf(b.config)];
  const paths = [...new Set([...before.keys(), ...after.keys()])].filter((path) => !EXPECTED.has(path));
  return {
    a: recordOf(a),
    b: recordOf(b),
    labelsAdded: b.labels.filter((label) => !a.labels.includes(label)),
    labelsRemoved: a.labels.filter((label) => !b.labels.includes(label)),
    testSets: testSetsDiffer(a, b),
    settings: paths
      .map((path) => ({ path, a: before.get(path) ?? null, b: after.get(path) ?? null }))
      .filter((row) => row.a !== row.b),
  };
}

export function testSetsDiffer(a: Tested, b: Tested): string {
  if (!a.test || !b.test || a.dataset.hash === b.dataset.hash) return '';
  return a.test.n === b.test.n
    ? 'They learnt from different data sets, so their Test images may differ: the figures need not be about the same images.'
    : `Their Test images differ (n = ${a.test.n} and n = ${b.test.n}): the figures are not about the same images.`;
}
type Tested = Pick<VersionRecord, 'test' | 'dataset'>;

function recordOf({ notes: _, files: __, config: ___, metrics: ____, ...record }: VersionDetails): VersionDiff['a'] {
  return record;
}

/** `training.epochs` → `30`, in the order of the file; lists are values. */
function settingsOf(yaml: string): ReadonlyMap<string, string> {
  const settings = new Map<string, string>();
  const walk = (value: unknown, path: string): void => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) walk(inner, path === '' ? key : `${path}.${key}`);
    } else {
      settings.set(path, stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trimEnd());
    }
  };
  walk(parse(yaml), '');
  return settings;
}
