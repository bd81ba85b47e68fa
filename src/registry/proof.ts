import type { Certificate, Golden } from '../parity/types.ts';
import { zipPackage } from '../export/coreml/package.ts';
import { digits } from '../export/digits.ts';
import { checksumsText, readChecksums } from './checksums.ts';
import type { Files, Sha256, VersionCertificate, VersionRecord } from './types.ts';

export const CERTIFICATE = 'certificate.json';
export const GOLDEN = 'golden.json';

/** What was found when a version's package was read back; or, in a sentence, why it was not. */
export type Proof =
  { readonly certificate: Certificate; readonly goldens: readonly Golden[] } | { readonly uncertified: string };

const MADE_BEFORE = 'It was made before versions carried a certificate.';
const SAYS_MORE = 'Its record says something else than its certificate does.';
const OF_ANOTHER =
  'Its certificate is of another package: the files in its folder are not those that were read back and compared.';

/** What a record of the first schema, in which no version had a certificate, says now. */
export const beforeCertificates = { certificate: null, uncertified: MADE_BEFORE } as const;

/**
 * `certificate.json`, and `golden.json`: what the trained model and the package said of each image. The images are named by the SHA-256 of
 * their pixels (`[size, size, 3]`, RGB, row by row) and not kept themselves.
 */
export function proofFiles(proof: Proof, hash: Sha256): Files {
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

/** The proof, where it is of the very bytes that were `exported`. */
export function proofOfBytes(proof: Proof, exported: Uint8Array, hash: Sha256): Proof {
  if ('uncertified' in proof || proof.certificate.sha256 === hash(exported)) return proof;
  return { uncertified: OF_ANOTHER };
}

/** What the record says. `files`: the version's, the proof's among them. */
export function certificateIn(
  proof: Proof,
  files: Files,
  modelName: string,
  hash: Sha256,
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

/**
 * The record; without its certificate, and with the reason, where that is not of `files`, of which `sums` is the text of `SHA256SUMS`: of
 * other files than those it names, of other bytes than the package, zipped as it was when it was read back; or where `certificate.json`
 * says something else than the record.
 */
export async function withOwnCertificate(
  record: VersionRecord,
  files: Files,
  sums: string,
  hash: Sha256,
): Promise<VersionRecord> {
  const { certificate, modelName } = record;
  if (certificate === null) return record;
  if (certificate.content !== provenContent(sums, modelName, hash)) return without(record, OF_ANOTHER);
  if (!saysTheSame(certificate, files.get(CERTIFICATE))) return without(record, SAYS_MORE);
  return (await packageHash(files, modelName, hash)) === certificate.sha256 ? record : without(record, OF_ANOTHER);
}

/**
 * What the certificate of the package `NAME.mlpackage/…` among `files` has to bear: the SHA-256 of its zip. Null where it isn't made of the
 * files that a package of ours has.
 */
export async function packageHash(files: Files, modelName: string, hash: Sha256): Promise<string | null> {
  const top = `${modelName}.mlpackage/`;
  const inside = [...files.keys()].filter((path) => path.startsWith(top));
  const parts = ['Data/com.apple.CoreML/model.mlmodel', 'Data/com.apple.CoreML/weights/weight.bin', 'Manifest.json'];
  const [model, weights, manifest] = parts.map((part) => files.get(top + part));
  if (!model || !weights || !manifest || inside.length !== parts.length) return null;
  return hash(await zipPackage(modelName, model, weights, manifest));
}

function without(record: VersionRecord, why: string): VersionRecord {
  return { ...record, certificate: null, uncertified: why };
}

/** Of each figure that the record has, what lies in `certificate.json`; both were written from one. */
function saysTheSame({ content: _, ...said }: VersionCertificate, file: Uint8Array | undefined): boolean {
  let whole: Readonly<Record<string, unknown>> | null;
  try {
    whole = JSON.parse(new TextDecoder().decode(file)) as typeof whole;
  } catch {
    return false;
  }
  return Object.entries(said).every(([key, value]) => equal(value, whole?.[key]));
}

/** As JSON: a number that was none lies in it as null. */
function equal(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null)
    return (Number.isNaN(a) ? null : a) === b;
  const entries = Object.entries(a);
  return (
    entries.length === Object.keys(b).length && entries.every(([key, value]) => equal(value, b[key as keyof typeof b]))
  );
}

/** Why nobody should rely on the package; null where it passed. */
export function proofProblem({ certificate, uncertified }: ProofOfRecord): string | null {
  if (certificate === null) return uncertified;
  return certificate.passed ? null : `Its certificate failed. ${certificate.failures.join(' ')}`;
}
export type ProofOfRecord = Readonly<{ certificate: VersionCertificate | null; uncertified: string }>;
