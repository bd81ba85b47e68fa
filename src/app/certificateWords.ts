import type { VersionRecord } from '../workers/protocol.ts';

/** A difference of two probabilities, two digits: `0.0012`, `3.1e-7`; 0 where there is none. */
export function difference(value: number): string {
  if (!Number.isFinite(value)) return 'not a number';
  const rounded = Number(value.toPrecision(2));
  return rounded === 0 || rounded >= 1e-4 ? String(rounded) : rounded.toExponential();
}

const splits: Readonly<Record<string, string>> = { test: 'Test', val: 'validation', train: 'training' };

/** Where a certificate's images are from. */
export function splitOf({ split }: { readonly split: string }): string {
  return splits[split] ?? split;
}

export type ProofMark = '' | 'no certificate' | 'certificate failed';

/** What stands beside its number wherever that is shown; '' where its certificate passed. */
export function proofMark({ certificate }: Pick<VersionRecord, 'certificate'>): ProofMark {
  if (certificate === null) return 'no certificate';
  return certificate.passed ? '' : 'certificate failed';
}

/** `v1.0.0`, `v1.0.0 (certificate failed)`: for choices and other lines of plain text. */
export function versionName(one: Pick<VersionRecord, 'version' | 'certificate'>): string {
  const mark = proofMark(one);
  return mark === '' ? one.version : `${one.version} (${mark})`;
}

export function markClass(mark: ProofMark): 'bad-text' | 'warn-text' {
  return mark === 'certificate failed' ? 'bad-text' : 'warn-text';
}
