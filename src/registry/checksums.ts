import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Files, Folder, Sha256 } from './types.ts';

/** Written last: a folder without it is no version. */
export const CHECKSUMS = 'SHA256SUMS';

export const hashBytes: Sha256 = (bytes) => bytesToHex(sha256(bytes));

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** The format of GNU's sha256sum, binary or text alike: hash, two spaces, path; sorted by path. */
export function checksumsText(files: Files, hash: Sha256): string {
  const paths = [...files.keys()].sort();
  return paths.map((path) => `${hash(files.get(path) as Uint8Array)}  ${path}\n`).join('');
}

/** Path → hash, or in words what is wrong. Paths that lead out of the folder are wrong. */
export function readChecksums(text: string): ReadonlyMap<string, string> | string {
  const sums = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    if (line === '') continue;
    const [, hash, path] = /^([0-9a-f]{64}) [ *](.+)$/.exec(line) ?? [];
    if (hash === undefined || path === undefined) return `${CHECKSUMS} has a line that is no checksum`;
    if (!isInside(path)) return `${CHECKSUMS} names ${path}, which lies elsewhere`;
    sums.set(path, hash);
  }
  return sums.size > 0 ? sums : `${CHECKSUMS} names no file`;
}

function isInside(path: string): boolean {
  return !path.includes('\\') && path.split('/').every((name) => name !== '' && name !== '.' && name !== '..');
}

/** All files that `SHA256SUMS` of the folder `path` names, each as it says, and itself; or in words what is wrong. */
export async function verifiedFiles(folder: Folder, path: string, hash: Sha256): Promise<Files | string> {
  const sums = await folder.read(`${path}/${CHECKSUMS}`);
  if (sums === undefined || sums.length === 0) return `it was never written to its end (there is no ${CHECKSUMS})`;
  const expected = readChecksums(new TextDecoder().decode(sums));
  if (typeof expected === 'string') return expected;
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const [name, sum] of expected) {
    const bytes = await folder.read(`${path}/${name}`);
    if (bytes === undefined) return `${name} is missing`;
    if (hash(bytes) !== sum) return `${name} was changed since`;
    files.set(name, bytes);
  }
  files.set(CHECKSUMS, sums);
  return files;
}
