import type { RegistryListing, SyncChange, VersionRecord } from '../../../workers/protocol.ts';
import { interval, share } from '../../components/charts/figures.ts';
import { bytes, count } from '../../format.ts';

/** Why a version cannot have this number; '' where it can. */
export function numberProblem(
  version: string,
  listing: Pick<RegistryListing, 'versions' | 'damaged' | 'newer'>,
): string {
  if (!/^v(0|[1-9]\d{0,8})(\.(0|[1-9]\d{0,8})){2}$/.test(version))
    return 'A number like v1.2.0: v, then three whole numbers.';
  if (listing.newer.includes(version) || listing.versions.some((one) => one.version === version))
    return `${version} exists, and versions are never changed: choose another number.`;
  if (listing.damaged.some((one) => one.version === version))
    return `A damaged ${version} is in the way: delete it below, or choose another number.`;
  return '';
}

/** `92.4 %, 95 % interval 88.1–95.3 %, n = 160` */
export function testWords(test: VersionRecord['test']): string {
  return test
    ? `${share(test.accuracy)}, 95 % interval ${interval(test.interval)}, n = ${test.n}`
    : 'not judged on Test';
}

export function day(at: number): string {
  return new Date(at).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
}

export interface ChangedFolder {
  /** A version's folder or a package, `/` at its end; or a single file. */
  readonly place: string;
  readonly changes: readonly SyncChange[];
}

/** What a sync would do, by what it does it to: a version, a package, the file `current`. */
export function byFolder(changes: readonly SyncChange[]): ChangedFolder[] {
  const folders = new Map<string, SyncChange[]>();
  for (const change of changes) {
    const place = /^.*?(?:\/versions\/[^/]+\/|\.mlpackage\/)/.exec(change.path)?.[0] ?? change.path;
    folders.set(place, [...(folders.get(place) ?? []), change]);
  }
  return [...folders].map(([place, inIt]) => ({ place, changes: inIt }));
}

const doing = { create: 'new', replace: 'replaced', remove: 'removed', unchanged: 'unchanged' } as const;

/** `8 files new, 502 kB`, `v1.0.0 → v1.1.0` */
export function changeWords(changes: readonly SyncChange[]): string {
  const [only] = changes;
  if (changes.length === 1 && only?.to !== undefined) return `${only.from ?? 'none'} → ${only.to}`;
  const kinds = (['create', 'replace', 'remove', 'unchanged'] as const).flatMap((action) => {
    const n = changes.filter((change) => change.action === action).length;
    return n === 0 ? [] : [`${count(n, 'file')} ${doing[action]}`];
  });
  const written = changes.filter(({ action }) => action === 'create' || action === 'replace');
  const size = written.reduce((sum, change) => sum + change.bytes, 0);
  return [...kinds, ...(size > 0 ? [bytes(size)] : [])].join(', ');
}
