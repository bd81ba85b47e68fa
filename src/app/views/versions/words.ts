import type { RegistryListing, SyncChange, VersionRecord } from '../../../workers/protocol.ts';
import { difference, splitOf } from '../../certificateWords.ts';
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
    ? `${share(test.accuracy)}, 95 % interval ${interval(test.interval)}, n\u00a0=\u00a0${test.n}`
    : 'not judged on Test';
}

type Proven = Pick<VersionRecord, 'certificate' | 'uncertified'>;

/** Why nobody should rely on its package; null where its certificate passed. */
export function proofProblem({ certificate, uncertified }: Proven): string | null {
  if (certificate === null) return uncertified;
  return certificate.passed ? null : certificate.failures.join(' ');
}

/** What was found when its package was read back and run; why it failed, or why nobody looked, is told by `proofProblem`. */
export function proofWords(one: Proven): string {
  const { certificate } = one;
  if (certificate === null) return 'No certificate.';
  const { images, flips, right, thresholds, imagesFrom, passed } = certificate;
  const of = `${count(images, `${splitOf(imagesFrom)} image`)} of ${imagesFrom.dataset}`;
  const both = `Right: ${right.trained} by the trained network, ${right.exported} by the package.`;
  if (!passed) return `Failed on ${of}. ${both}`;
  const flipped = flips === 0 ? 'no answer is another one' : `${count(flips, 'answer')} of ${images} changed`;
  return (
    `On ${of} the package says what the trained network says: no probability differs by more than ` +
    `${difference(certificate.maxDifference)} (allowed: ${difference(thresholds.maxDifference)}), ${flipped}. ${both}`
  );
}

/** `passed, 12 images, |Δp| ≤ 0.0012` */
export function proofFigures({ certificate }: Proven): string {
  if (certificate === null) return 'none';
  const { passed, images, maxDifference, flips } = certificate;
  const changed = flips === 0 ? '' : `, ${count(flips, 'answer')} changed`;
  return `${passed ? 'passed' : 'failed'}, |Δp| ≤ ${difference(maxDifference)}${changed}, n = ${images}`;
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
