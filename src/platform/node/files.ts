import { openAsBlob, type Stats } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { EmptyPathError, NoSuchPathError, UnreadablePathError } from '../../dataset/errors.ts';

/** A file before it is opened: what tells whether it has changed. */
export interface ListedFile {
  /** `/`-separated, as the data set will know it. */
  readonly path: string;
  readonly bytes: number;
  /** Last change, ms since the epoch. */
  readonly modified: number;
}

export interface FilesFromDisk {
  /** As `importFiles` takes them. Blobs read from disk when asked; nothing is loaded here. */
  readonly files: readonly { readonly path: string; readonly file: Blob }[];
  readonly name: string;
  readonly source: 'zip' | 'folder';
  readonly listing: readonly ListedFile[];
}

/**
 * A zip, or all files of a folder: paths begin with the folder's name, as where it is dropped on the page. Links are followed.
 * Throws `NoSuchPathError`, `UnreadablePathError`, `EmptyPathError`. Single files that cannot be read are left to the import to list.
 */
export async function filesFromDisk(path: string): Promise<FilesFromDisk> {
  const full = resolve(path);
  const name = basename(full);
  const about = await look(full);
  if (about.isDirectory()) return opened(await walk(full, name), { name, source: 'folder', path });
  if (about.size === 0) throw new EmptyPathError(path, 'file');
  await readable(full);
  return opened([{ full, path: name, about }], { name, source: 'zip', path });
}

/**
 * The folders of `data.train_dir` and `data.test_dir`, as if they lay side by side as `Train` and `Test`: the data set has the hash
 * of a zip that holds them under these names. A folder beside `trainDir` that is named as validation is read too. `testDir`
 * null: there is none. Throws as `filesFromDisk`.
 */
export async function filesFromFolders(trainDir: string, testDir: string | null): Promise<FilesFromDisk> {
  const parent = dirname(resolve(trainDir));
  const train = await folder(trainDir, 'Train');
  const test = testDir === null ? [] : await folder(testDir, 'Test');
  const beside = await listed(parent);
  const val = beside.find((entry) => /^val(id|idation)?$/i.test(entry));
  const validation = val === undefined ? [] : await folder(join(parent, val), 'Val');
  return opened([...train, ...validation, ...test], { name: basename(parent), source: 'folder', path: trainDir });
}

/** What lies on the disk under the name that the data set gives it; `about` null: it cannot be looked at. */
interface Found {
  readonly full: string;
  readonly path: string;
  readonly about: Stats | null;
}

async function folder(path: string, as: string): Promise<Found[]> {
  const full = resolve(path);
  if (!(await look(full)).isDirectory()) throw new NoSuchPathError(path, 'folder', process.cwd());
  const found = await walk(full, as);
  if (found.length === 0) throw new EmptyPathError(path, 'folder');
  return found;
}

/** All files below, links followed; a link back to a folder that one is in already is not. In the order of names. */
async function walk(full: string, path: string, above: readonly string[] = []): Promise<Found[]> {
  const real = await realpath(full);
  if (above.includes(real)) return [];
  const found: Found[] = [];
  for (const name of await listed(full)) {
    const child = { full: join(full, name), path: `${path}/${name}` };
    const about = await stat(child.full).catch(() => null);
    if (about?.isDirectory()) found.push(...(await walk(child.full, child.path, [...above, real])));
    else if (about === null || about.isFile()) found.push({ ...child, about });
  }
  return found;
}

async function opened(
  found: readonly Found[],
  { path, ...rest }: { name: string; source: 'zip' | 'folder'; path: string },
): Promise<FilesFromDisk> {
  if (found.length === 0) throw new EmptyPathError(path, 'folder');
  const files = [];
  const listing: ListedFile[] = [];
  for (const { full, path, about } of found) {
    files.push({ path, file: about === null ? new UnreadableBlob() : await openAsBlob(full) });
    listing.push({ path, bytes: about?.size ?? 0, modified: about?.mtimeMs ?? 0 });
  }
  return { ...rest, files, listing };
}

/** Stands for a file that went away, or whose link leads nowhere: the import lists it with this reason. */
class UnreadableBlob extends Blob {
  override arrayBuffer(): Promise<ArrayBuffer> {
    return Promise.reject(new Error('it is not there, or its link leads nowhere'));
  }
}

async function look(full: string): Promise<Stats> {
  try {
    return await stat(full);
  } catch (cause) {
    throw asReadError(cause, full);
  }
}

async function readable(full: string): Promise<void> {
  try {
    await (await open(full, 'r')).close();
  } catch (cause) {
    throw asReadError(cause, full);
  }
}

async function listed(full: string): Promise<string[]> {
  try {
    return (await readdir(full)).sort();
  } catch (cause) {
    throw asReadError(cause, full);
  }
}

function asReadError(cause: unknown, path: string): unknown {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return new NoSuchPathError(path, 'file or folder', process.cwd());
  return code === 'EACCES' || code === 'EPERM' || code === 'ELOOP' ? new UnreadablePathError(path, cause) : cause;
}
