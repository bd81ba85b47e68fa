import { OutsideFolderError } from './errors.ts';
import type { Folder } from './types.ts';

/** `a//./b/` → `a/b`, `.` → ``. Throws `OutsideFolderError` for a path that leads out of the folder that it is meant in. */
export function pathInside(path: string): string {
  const names = path.split(/[/\\]/);
  if (/^([/\\]|[A-Za-z]:)/.test(path) || names.includes('..')) throw new OutsideFolderError(path);
  return names.filter((name) => name !== '' && name !== '.').join('/');
}

export function joined(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('/');
}

/** A folder in a folder as a folder of its own. */
export function folderIn(folder: Folder, under: string): Folder {
  return {
    list: (path) => folder.list(joined(under, path)),
    read: (path) => folder.read(joined(under, path)),
    write: (path, bytes) => folder.write(joined(under, path), bytes),
    remove: (path) => folder.remove(joined(under, path)),
    ...(folder.replaceFolder && {
      replaceFolder: (from, to) => folder.replaceFolder?.(joined(under, from), joined(under, to)) ?? Promise.resolve(),
    }),
  };
}

/** All files under `path`, relative to it, sorted. */
export async function pathsUnder(folder: Folder, path: string): Promise<string[]> {
  const names = await folder.list(path);
  const paths = await Promise.all(
    names.map(async (name) =>
      name.endsWith('/')
        ? (await pathsUnder(folder, joined(path, name.slice(0, -1)))).map((inner) => name + inner)
        : [name],
    ),
  );
  return paths.flat().sort();
}
