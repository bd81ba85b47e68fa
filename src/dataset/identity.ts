import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { FoundFile } from './archive.ts';
import type { Dataset, DatasetStore, ImageEntry, SkippedFile } from './types.ts';

/** A new data set's id: begins with its time, so that what was never finished can be told from what is under way. */
export function newId(createdAt: number, files: readonly Pick<FoundFile, 'path' | 'bytes'>[]): string {
  const listing = files.map(({ path, bytes }) => `${path}/${bytes}`).join('\n');
  return `${createdAt.toString(36)}-${bytesToHex(sha256(utf8ToBytes(`${createdAt}\n${listing}`))).slice(0, 12)}`;
}

/** SHA-256 over the sorted lines `class/path/hash`, hex. */
export function hashOf(
  classes: readonly string[],
  images: readonly Pick<ImageEntry, 'label' | 'path' | 'hash'>[],
): string {
  const lines = images.map(({ label, path, hash }) => `${classes[label]}/${path}/${hash}`).sort();
  return bytesToHex(sha256(utf8ToBytes(lines.join('\n'))));
}

/** `3 files: not an image. 1 file: corrupt image.` */
export function summaryOf(skipped: readonly SkippedFile[]): string {
  const counts = new Map<string, number>();
  for (const { reason } of skipped) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].map(([reason, n]) => `${n} ${n === 1 ? 'file' : 'files'}: ${reason}.`).join(' ');
}

export function onlyInTest(path: string, className: string): SkippedFile {
  return { path, reason: `class only in Test: no image of “${className}” to train on` };
}

/** The data set of this content, wherever it lies by now: the same images imported again have another id. */
export async function findDataset(
  store: Pick<DatasetStore, 'list' | 'read'>,
  { id, hash }: Pick<Dataset, 'id' | 'hash'>,
): Promise<Dataset | undefined> {
  const stored = await store.read(id);
  return stored?.hash === hash ? stored : (await store.list()).find((one) => one.hash === hash);
}
