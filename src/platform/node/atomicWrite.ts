import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { UserError } from '../../errors.ts';
import { isAlive } from './processes.ts';

/** The disk, or the part of it that this user may fill, is full. */
export class DiskFullError extends UserError {
  constructor(path: string, cause?: unknown) {
    super(`There was no room left on the disk for ${path}.`, {
      kept: 'What was there before is unchanged; the half-written file was removed.',
      remedy: 'Free some space and start the same command again, or let it write to another disk.',
      cause,
    });
  }
}

/** The folder or the file there doesn't let this user write. */
export class NotWritableError extends UserError {
  constructor(path: string, cause?: unknown) {
    super(`${path} can't be written: ${reason(cause)}.`, {
      kept: 'What was there before is unchanged.',
      remedy: 'Name a folder that you may write to, or change who owns this one.',
      cause,
    });
  }
}

/**
 * Writes a whole file or none: to `<path>.<process>-<random>.part` beside it, flushed to the disk, then renamed over what was
 * there. Folders on the way are made. A kill in between leaves a `.part` file and the old content; nobody reads `.part` files, and the
 * next write of the same file removes it.
 */
export async function writeWhole(
  path: string,
  content: Uint8Array | string | AsyncIterable<Uint8Array>,
): Promise<void> {
  const part = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.part`;
  let file: FileHandle | undefined;
  try {
    await mkdir(dirname(resolve(path)), { recursive: true });
    file = await open(part, 'wx');
    if (typeof content === 'string' || content instanceof Uint8Array) await file.writeFile(content);
    else for await (const piece of content) await file.writeFile(piece);
    await file.sync();
    await file.close();
    file = undefined;
    await rename(part, path);
  } catch (error) {
    await file?.close().catch(() => undefined);
    await rm(part, { force: true }).catch(() => undefined);
    throw asWriteError(error, path);
  }
  await syncFolder(dirname(resolve(path)));
  await sweepParts(path);
}

/** Parts of this file whose process has ended: a kill left them. */
async function sweepParts(path: string): Promise<void> {
  const folder = dirname(resolve(path));
  const start = `${basename(path)}.`;
  for (const name of await readdir(folder).catch(() => [])) {
    if (!name.startsWith(start)) continue;
    const pid = /^(\d+)-[0-9a-f]{8}\.part$/.exec(name.slice(start.length))?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      await rm(join(folder, name), { force: true }).catch(() => undefined);
  }
}

/** What a failed write means to the user; anything else comes back as it is. */
export function asWriteError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') return new DiskFullError(path, error);
  const unwritable = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EISDIR', 'EEXIST'];
  return unwritable.includes(String(error.code)) ? new NotWritableError(path, error) : error;
}

/** A rename is only on the disk when its folder is. Not every system lets a folder be opened. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

function reason(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'EROFS') return 'it lies on a disk that is read-only';
  if (code === 'ENOTDIR' || code === 'EEXIST') return 'a file lies where a folder is needed';
  if (code === 'EISDIR') return 'a folder lies where a file is needed';
  return 'this user has no right to';
}
