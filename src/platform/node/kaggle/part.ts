import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, rename, rm, stat, statfs, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from '../../../zod.ts';
import { asWriteError, NotWritableError, syncFolder, writeWhole } from '../atomicWrite.ts';
import { UserError } from '../../../errors.ts';
import { formatBytes } from './bytes.ts';
import { DownloadDamagedError, NoRoomForDownloadError } from './errors.ts';

/** Which file on the server a `.part` is the beginning of. */
const pinSchema = z.object({
  dataset: z.string(),
  etag: z.string().nullable(),
  lastModified: z.string().nullable(),
  /** Bytes of the whole file; null: the server does not say. */
  size: z.int().nonnegative().nullable(),
  /** Base64, from Google's `x-goog-hash`. */
  md5: z.string().nullable(),
});
export type Pin = z.infer<typeof pinSchema>;

/** `pacemakers.zip`, `pacemakers.zip.part` while it comes in, and a small JSON file beside each that says what it is. */
export function pathsOf(zip: string) {
  return { zip, zipPin: `${zip}.json`, part: `${zip}.part`, partPin: `${zip}.part.json` } as const;
}
export type Paths = ReturnType<typeof pathsOf>;

export function pinOf(response: Response, dataset: string): Pin {
  const length = response.headers.get('content-length');
  // x-goog-hash: crc32c=n03x6A==,md5=Ojk9c3dhfxgoKVVHYwFbHQ==
  const md5 = /(?:^|[,\s])md5=([\w+/]{22}==)/.exec(response.headers.get('x-goog-hash') ?? '')?.[1];
  return {
    dataset,
    etag: response.headers.get('etag'),
    lastModified: response.headers.get('last-modified'),
    size: length === null ? null : Number(length),
    md5: md5 ?? null,
  };
}

/** What `If-Range` may name: a strong ETag, else the date. Null: nothing tells one version from the next. */
export function validatorOf(pin: Pin): string | null {
  return pin.etag !== null && !pin.etag.startsWith('W/') ? pin.etag : pin.lastModified;
}

export function isSameFile(pin: Pin, response: Response): boolean {
  const now = pinOf(response, pin.dataset);
  if (pin.etag !== null && now.etag !== null) return pin.etag === now.etag;
  return pin.lastModified !== null && pin.lastModified === now.lastModified;
}

/** Missing, of another program, or cut short: null, so that nobody appends to what is not known. */
export async function readPin(path: string): Promise<Pin | null> {
  try {
    return pinSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return null;
  }
}

export async function writePin(path: string, pin: Pin): Promise<void> {
  await writeWhole(path, `${JSON.stringify(pin, null, 2)}\n`);
}

/** How much of the part can be gone on from: its bytes and the file that they belong to. */
export async function resumable(paths: Paths, dataset: string): Promise<{ pin: Pin | null; have: number }> {
  const pin = await readPin(paths.partPin);
  const have = (await stat(paths.part).catch(() => null))?.size ?? 0;
  const usable = pin !== null && pin.dataset === dataset && (pin.size === null || have <= pin.size);
  return usable ? { pin, have } : { pin: null, have: 0 };
}

export async function dropPart(paths: Paths): Promise<void> {
  // The part first: a pin without its part does no harm.
  await rm(paths.part, { force: true });
  await rm(paths.partPin, { force: true });
}

/** The part becomes the zip, once its checksum fits. Throws `DownloadDamagedError`. */
export async function finishPart(paths: Paths, pin: Pin): Promise<void> {
  if (pin.md5 !== null && (await md5Of(paths.part)) !== pin.md5) {
    await dropPart(paths);
    throw new DownloadDamagedError(paths.zip);
  }
  await rm(paths.zipPin, { force: true });
  await rename(paths.part, paths.zip);
  await rename(paths.partPin, paths.zipPin);
  await syncFolder(dirname(paths.zip));
}

async function md5Of(path: string): Promise<string> {
  const hash = createHash('md5');
  for await (const piece of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(piece as Buffer);
  return hash.digest('base64');
}

/** The whole chunk, at that place: one `write` may take less than it was given. */
export async function writeAll(file: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < chunk.length)
    done += (await file.write(chunk, done, chunk.length - done, position + done)).bytesWritten;
}

/** A failure of the disk, in words. `needed`: bytes still to be written; null: unknown. */
export async function diskFailure(error: unknown, path: string, needed: number | null, kept: string): Promise<Error> {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const disk = await statfs(dirname(path)).catch(() => null);
    const free = disk === null ? 'an unknown number of bytes' : formatBytes(disk.bavail * disk.bsize);
    const room = needed === null ? 'more room' : `${formatBytes(needed)} more`;
    return new NoRoomForDownloadError(path, room, free, kept, error);
  }
  const named = asWriteError(error, path);
  return named instanceof UserError ? named : new NotWritableError(path, error);
}
