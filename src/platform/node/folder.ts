import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Folder } from '../../registry/types.ts';
import { asWriteError, syncFolder, writeWhole } from './atomicWrite.ts';

/** A folder of the file system. Half-written files (`*.part`) are not listed; `root` need not exist before the first write. */
export function nodeFolder(root: string): Folder & Required<Pick<Folder, 'replaceFolder'>> {
  const at = (path: string): string => join(root, path);
  return {
    list: async (path) => {
      const entries = await readdir(at(path), { withFileTypes: true }).catch(noneIfMissing);
      if (entries === undefined) return [];
      const names = await Promise.all(
        entries
          .filter(({ name }) => !name.endsWith('.part'))
          .map(async (entry) => {
            const isFolder = entry.isSymbolicLink()
              ? await stat(join(entry.parentPath, entry.name)).then(
                  (target) => target.isDirectory(),
                  () => false,
                )
              : entry.isDirectory();
            return isFolder ? `${entry.name}/` : entry.name;
          }),
      );
      return names.sort();
    },
    read: async (path) => {
      const bytes = await readFile(at(path)).catch(noneIfMissing);
      return bytes === undefined ? undefined : new Uint8Array(bytes);
    },
    write: (path, bytes) => writeWhole(at(path), bytes),
    remove: async (path) => {
      await rm(at(path), { recursive: true, force: true }).catch((error: unknown) => {
        throw asWriteError(error, at(path));
      });
    },
    replaceFolder: (from, to) => replaceFolder(at(from), at(to)),
  };
}

/**
 * Puts the finished folder `from` in the place of `to`, both on one disk. No system that Node knows swaps two folders at once: the
 * old one goes aside to `.NAME.old`, the new one takes its place, the old one is removed. Whoever looks sees the old one, for a moment none,
 * or the new one, never some files of each. After a kill in that moment the next call puts the old one back first.
 */
export async function replaceFolder(from: string, to: string): Promise<void> {
  const parent = dirname(to);
  const aside = join(parent, `.${basename(to)}.old`);
  try {
    await mkdir(parent, { recursive: true });
    if (!(await exists(to)) && (await exists(aside))) await rename(aside, to);
    await rm(aside, { recursive: true, force: true });
    const before = await exists(to);
    if (before) await rename(to, aside);
    try {
      await rename(from, to);
    } catch (error) {
      if (before) await rename(aside, to);
      throw error;
    }
    await syncFolder(parent);
    await rm(aside, { recursive: true, force: true });
  } catch (error) {
    throw asWriteError(error, to);
  }
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** A path that goes through a file, or a folder where a file is asked for, is no such file. */
function noneIfMissing(error: unknown): undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'EISDIR') throw error;
}
