import { openAsBlob } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { openArchive, type FoundFile } from '../../dataset/archive.ts';
import { findLayout } from '../../dataset/layout.ts';
import { folderOf } from '../../dataset/paths.ts';
import type { SkippedFile } from '../../dataset/types.ts';
import { UserError } from '../../errors.ts';
import { syncFolder, writeWhole } from '../../platform/node/atomicWrite.ts';
import { exists } from '../../platform/node/folder.ts';
import { diskFailure } from '../../platform/node/kaggle/part.ts';
import { z } from '../../zod.ts';
import { DamagedZipError, LayOutStoppedError, NoImagesInZipError } from './errors.ts';

/** Train comes last into its place: without it nobody takes the rest for a data set. */
const folders = ['Test', 'Val', 'Train'] as const;
export type Folder = (typeof folders)[number];

/** What lies in `raw_dir`; written when all of it does. */
const receiptSchema = z.object({
  dataset: z.string(),
  folders: z.array(z.enum(folders)),
  files: z.int().nonnegative(),
  skipped: z.int().nonnegative(),
});
export type Receipt = z.infer<typeof receiptSchema>;

const stagingOf = (rawDir: string): string => join(rawDir, '.extracting');
const receiptOf = (rawDir: string): string => join(rawDir, '.downloaded.json');
const wholeOf = (rawDir: string): string => join(stagingOf(rawDir), 'whole.json');

/** What an earlier run has laid out to its end; null: nothing, or not to its end. */
export const laidOut = (rawDir: string): Promise<Receipt | null> => readReceipt(receiptOf(rawDir));
/** What an earlier run has unpacked to its end, but not yet moved to its place. */
export const waitingIn = (rawDir: string): Promise<Receipt | null> => readReceipt(wholeOf(rawDir));

/** `Train`, `Val` and `Test` of `rawDir` that hold anything. */
export async function filledFolders(rawDir: string): Promise<Folder[]> {
  const filled: Folder[] = [];
  for (const folder of folders) {
    const names = await readdir(join(rawDir, folder)).catch(() => []);
    if (names.length > 0) filled.push(folder);
  }
  return filled;
}

/**
 * Unpacks the images of a zip into `<rawDir>/.extracting/{Train,Val,Test}/<class>/…`, wherever in the zip they lie, each checked against the
 * zip's CRC-32. A flat zip (`<class>/…`) becomes Train. Whatever an earlier run left there unfinished goes first. Throws
 * `DamagedZipError`, `NoImagesInZipError`, `NoRoomForDownloadError`, `LayOutStoppedError` and the errors of dataset/archive.ts.
 */
export async function unpack(
  zip: string,
  rawDir: string,
  dataset: string,
  { signal, onProgress }: { signal: AbortSignal; onProgress(bytes: number, total: number): void },
): Promise<{ receipt: Receipt; skipped: readonly SkippedFile[] }> {
  const staging = stagingOf(rawDir);
  await rm(staging, { recursive: true, force: true });
  const archive = await openArchive(await openAsBlob(zip), zip).catch((cause: unknown) => {
    if (!(cause instanceof UserError)) throw cause;
    throw new DamagedZipError(zip, cause.message, cause);
  });
  const { targets, skipped } = targetsIn(archive.files);
  if (targets.length === 0) throw new NoImagesInZipError(zip);
  const total = targets.reduce((sum, { file }) => sum + file.bytes, 0);
  const left: SkippedFile[] = [...archive.skipped, ...skipped];
  const used = new Set<Folder>();
  let done = 0;
  let files = 0;
  for (const { file, folder, path } of targets) {
    if (signal.aborted) throw new LayOutStoppedError(zip);
    const target = resolve(staging, folder, path);
    if (!target.startsWith(resolve(staging) + sep)) {
      left.push({ path: file.path, reason: 'unsafe path' });
      continue;
    }
    const bytes = await file.read().catch((cause: unknown) => {
      throw new DamagedZipError(zip, `“${file.path}” does not match its checksum or cannot be unpacked`, cause);
    });
    try {
      if (await writeNew(target, bytes)) files++;
      else left.push({ path: file.path, reason: 'a second file of this name' });
    } catch (error) {
      const failure = await diskFailure(error, target, total - done, `The whole zip, ${zip}.`);
      // Half a data set is of no use, and its room is what is missing.
      await rm(staging, { recursive: true, force: true }).catch(() => undefined);
      throw failure;
    }
    used.add(folder);
    done += file.bytes;
    onProgress(done, total);
  }
  const receipt = { dataset, folders: folders.filter((folder) => used.has(folder)), files, skipped: left.length };
  await writeReceipt(wholeOf(rawDir), receipt);
  return { receipt, skipped: left };
}

/**
 * Moves what `unpack` has made to its place and writes the receipt. Each step can be repeated: a process that is killed in between is
 * finished by the next one. What lay in those places before goes.
 */
export async function moveIn(rawDir: string, receipt: Receipt): Promise<void> {
  const staging = stagingOf(rawDir);
  await rm(receiptOf(rawDir), { force: true });
  for (const folder of folders) {
    const place = join(rawDir, folder);
    const made = join(staging, folder);
    const waits = await exists(made);
    // Listed and no longer waiting: an earlier process has moved it.
    if (!waits && receipt.folders.includes(folder)) continue;
    if (await exists(place)) {
      const aside = join(staging, `old-${folder}`);
      await rm(aside, { recursive: true, force: true });
      await rename(place, aside);
    }
    if (waits) await rename(made, place);
  }
  await syncFolder(rawDir);
  await writeReceipt(receiptOf(rawDir), receipt);
  await rm(wholeOf(rawDir), { force: true });
  await dropUnfinished(rawDir);
}

export async function dropUnfinished(rawDir: string): Promise<void> {
  await rm(stagingOf(rawDir), { recursive: true, force: true });
}

interface Target {
  readonly file: FoundFile;
  readonly folder: Folder;
  /** `<class>/…`, as below the split's folder in the zip. */
  readonly path: string;
}

function targetsIn(files: readonly FoundFile[]): { targets: Target[]; skipped: readonly SkippedFile[] } {
  const { placed, skipped } = findLayout(files.map(({ path }) => path));
  const parts = placed.map(({ path }) => path.split('/').filter((part) => part !== '' && part !== '.'));
  // One root for all, and the class's folder at one depth below it: the first at which every path bears its class's name.
  let depth = 0;
  while (parts.some((part, i) => part[depth]?.normalize('NFC') !== placed[i]?.className)) depth++;
  const targets = placed.map(({ index, given, className }, i) => ({
    file: files[index] as FoundFile,
    folder: folderOf[given ?? 'train'],
    path: [className, ...(parts[i] as string[]).slice(depth + 1)].join('/'),
  }));
  return { targets, skipped };
}

/** False: a file of that name is there, as on a disk that does not tell upper from lower case. */
async function writeNew(path: string, bytes: Uint8Array): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'wx').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return null;
    throw error;
  });
  if (file === null) return false;
  try {
    await file.writeFile(bytes);
  } finally {
    await file.close();
  }
  return true;
}

async function readReceipt(path: string): Promise<Receipt | null> {
  try {
    return receiptSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return null;
  }
}

const writeReceipt = (path: string, receipt: Receipt): Promise<void> =>
  writeWhole(path, `${JSON.stringify(receipt, null, 2)}\n`);
