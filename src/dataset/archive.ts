import {
  BlobReader,
  configure,
  ERR_ENCRYPTED_CENTRAL_DIRECTORY,
  Uint8ArrayWriter,
  ZipReader,
  type FileEntry,
} from '@zip.js/zip.js';
import { EncryptedZipError, NotAZipError, TruncatedZipError, UnsafePathError } from './errors.ts';
import type { SkippedFile } from './types.ts';

/** A file whose bytes are fetched when they are wanted. */
export interface FoundFile {
  /** `/`-separated. */
  readonly path: string;
  readonly bytes: number;
  read(): Promise<Uint8Array>;
}

export interface Archive {
  readonly files: readonly FoundFile[];
  readonly skipped: readonly SkippedFile[];
}

// This runs in a worker already; workers of workers would only copy the bytes around.
configure({ useWebWorkers: false });

/** A device picture has a few megabytes; what claims more is a mistake or a bomb. */
const LARGEST_FILE = 256 * 2 ** 20;

/**
 * Reads a zip's table of contents; each file's bytes are read from the blob when asked for, so that memory does not grow
 * with the archive. Names: UTF-8 where flagged or valid, else code page 437. Entries whose path leads out of the archive are
 * skipped and listed. Throws `NotAZipError`, `TruncatedZipError`, `EncryptedZipError`, `UnsafePathError`.
 */
export async function openArchive(blob: Blob, name: string): Promise<Archive> {
  const entries = await readEntries(blob, name);
  if (entries.some((entry) => entry.encrypted)) throw new EncryptedZipError(name);
  // Some old Windows tools write backslashes; where a slash occurs too, a backslash is part of a name.
  const backslashes = !entries.some((entry) => entry.filename.includes('/'));
  const files: FoundFile[] = [];
  const skipped: SkippedFile[] = [];
  for (const entry of entries) {
    const path = backslashes ? entry.filename.replaceAll('\\', '/') : entry.filename;
    if (isUnsafe(path)) skipped.push({ path, reason: 'unsafe path' });
    else if (entry.uncompressedSize > LARGEST_FILE) skipped.push({ path, reason: 'larger than 256 MiB' });
    else files.push({ path, bytes: entry.uncompressedSize, read: () => bytesOf(entry) });
  }
  const [first] = skipped;
  if (files.length === 0 && first?.reason === 'unsafe path') throw new UnsafePathError(name, first.path);
  return { files, skipped };
}

/** Leads out of the folder, or is absolute: `../x`, `/x`, `C:\x`, `\\server\x`. */
export function isUnsafe(path: string): boolean {
  return /^[\\/]|^[a-z]:/i.test(path) || path.split(/[\\/]/).includes('..') || path.includes('\0');
}

async function readEntries(blob: Blob, name: string): Promise<FileEntry[]> {
  try {
    const reader = new ZipReader(new BlobReader(blob), { filenameValidation: 'tolerant', strictness: 'tolerant' });
    const entries = await reader.getEntries();
    return entries.filter((entry): entry is FileEntry => !entry.directory);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : '';
    if (message === ERR_ENCRYPTED_CENTRAL_DIRECTORY) throw new EncryptedZipError(name, cause);
    const start = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
    if (start[0] === 0x50 && start[1] === 0x4b) throw new TruncatedZipError(name, cause);
    throw new NotAZipError(name, cause);
  }
}

async function bytesOf(entry: FileEntry): Promise<Uint8Array> {
  return entry.getData(new Uint8ArrayWriter(), { checkCrc32: true });
}
