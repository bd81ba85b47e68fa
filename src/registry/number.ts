import { InvalidVersionError } from './errors.ts';

/** `1.2.0` or `v1.2.0` → `v1.2.0`. Throws `InvalidVersionError`. Semantic versioning's core (semver.org, 2): three numbers without leading zeros. */
export function versionOf(text: string): string {
  const version = text.trim().replace(/^v?/, 'v');
  if (!isVersion(version)) throw new InvalidVersionError(text);
  return version;
}

/** Exactly the name of a version's folder. */
export function isVersion(name: string): boolean {
  return /^v(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})$/.test(name);
}

/** For `sort`: the lowest first. */
export function compareVersions(a: string, b: string): number {
  const [x, y] = [numbers(a), numbers(b)];
  return x[0] - y[0] || x[1] - y[1] || x[2] - y[2];
}

/** What the number after `highest` is: other labels or another architecture are a new minor version, new weights a patch. */
export function versionAfter(highest: string | null, changed: 'labels or architecture' | 'weights'): string {
  if (highest === null) return 'v1.0.0';
  const [major, minor, patch] = numbers(highest);
  return changed === 'weights' ? `v${major}.${minor}.${patch + 1}` : `v${major}.${minor + 1}.0`;
}

function numbers(version: string): [number, number, number] {
  return version.slice(1).split('.').map(Number) as [number, number, number];
}
