import { openAsBlob } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

export interface FilesFromDisk {
  readonly files: readonly { readonly path: string; readonly file: Blob }[];
  readonly name: string;
  readonly source: 'zip' | 'folder';
}

/** A zip, or all files of a folder, as `importFiles` takes them. Blobs read from disk when asked; nothing is loaded here. */
export async function filesFromDisk(path: string): Promise<FilesFromDisk> {
  const name = basename(path);
  if ((await stat(path)).isFile())
    return { files: [{ path: name, file: await openAsBlob(path) }], name, source: 'zip' };
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const full = join(entry.parentPath, entry.name);
        return { path: join(name, full.slice(path.length)).replaceAll('\\', '/'), file: await openAsBlob(full) };
      }),
  );
  return { files, name, source: 'folder' };
}
