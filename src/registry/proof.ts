import type { Certificate, Golden } from '../parity/types.ts';
import { digits } from '../export/digits.ts';
import { checksumsText, hashBytes, readChecksums } from './checksums.ts';
import type { Files, Sha256, VersionCertificate, VersionRecord } from './types.ts';

export const CERTIFICATE = 'certificate.json';
export const GOLDEN = 'golden.json';

/** What was found when a version's package was read back; or, in a sentence, why it was not. */
export type Proof =
  { readonly certificate: Certificate; readonly goldens: readonly Golden[] } | { readonly uncertified: string };

const MADE_BEFORE = 'It was made before versions carried a certificate.';
const OF_ANOTHER =
  'Its certificate is of another package: the files in its folder are not those that were read back and compared.';

/** What a record of the first schema, in which no version had a certificate, says now. */
export const beforeCertificates = { certificate: null, uncertified: MADE_BEFORE } as const;

/**
 * `certificate.json`, and `golden.json`: what the trained model and the package said of each image. The images are named by the SHA-256 of
 * their pixels (`[size, size, 3]`, RGB, row by row) and not kept themselves.
 */
export function proofFiles(proof: Proof, hash: Sha256 = hashBytes): Files {
  if ('uncertified' in proof) return new Map();
  const { certificate, goldens } = proof;
  const images = goldens.map(({ label, pixels, trained, exported }) => ({
    label: certificate.labels[label] ?? null,
    pixels: hash(new Uint8Array(pixels)),
    trained: [...trained].map(digits),
    exported: [...exported].map(digits),
  }));
  const text = (value: unknown): Uint8Array<ArrayBuffer> =>
    new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
  return new Map([
    [CERTIFICATE, text(certificate)],
    [GOLDEN, text({ schema: 1, imageSize: certificate.imageSize, labels: certificate.labels, images })],
  ]);
}

/** What the record says. `files`: the version's, the proof's among them. */
export function certificateIn(
  proof: Proof,
  files: Files,
  modelName: string,
  hash: Sha256 = hashBytes,
): Pick<VersionRecord, 'certificate' | 'uncertified'> {
  if ('uncertified' in proof) return { certificate: null, uncertified: proof.uncertified };
  const { labels: _, perClass: __, schema: ___, ...said } = proof.certificate;
  const ours = new Map([...files].filter(([path]) => isProven(path, modelName)));
  const content = provenContent(checksumsText(ours, hash), modelName, hash);
  return { certificate: { ...said, content }, uncertified: '' };
}

/**
 * What a certificate is bound to: the SHA-256 of the lines of `SHA256SUMS` that name the package's files, `certificate.json` and
 * `golden.json`, sorted by path. With GNU's tools, in the version's folder:
 * `grep -E '  (NAME\.mlpackage/|certificate\.json$|golden\.json$)' SHA256SUMS | LC_ALL=C sort -k2 | sha256sum`
 */
function provenContent(sums: string, modelName: string, hash: Sha256): string {
  const all = readChecksums(sums);
  if (typeof all === 'string') return '';
  const ours = [...all].filter(([path]) => isProven(path, modelName));
  const lines = ours.sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, sum]) => `${sum}  ${path}\n`);
  return hash(new TextEncoder().encode(lines.join('')));
}

const isProven = (path: string, modelName: string): boolean =>
  path.startsWith(`${modelName}.mlpackage/`) || path === CERTIFICATE || path === GOLDEN;

/** The record; without its certificate, and with the reason, where that is of other files than `sums`, the text of `SHA256SUMS`, names. */
export function withOwnCertificate(record: VersionRecord, sums: string, hash: Sha256): VersionRecord {
  const { certificate, modelName } = record;
  if (certificate === null || certificate.content === provenContent(sums, modelName, hash)) return record;
  return { ...record, certificate: null, uncertified: OF_ANOTHER };
}

/** Why nobody should rely on the package; null where it passed. */
export function proofProblem({ certificate, uncertified }: ProofOfRecord): string | null {
  if (certificate === null) return uncertified;
  return certificate.passed ? null : `Its certificate failed. ${certificate.failures.join(' ')}`;
}
export type ProofOfRecord = Readonly<{ certificate: VersionCertificate | null; uncertified: string }>;
