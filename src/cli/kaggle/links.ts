import { cp, lstat, mkdir, readdir, realpath, rename, rm, rmdir, symlink, unlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { diskFailure } from '../../platform/node/kaggle/part.ts';
import { ExistingDataError } from './errors.ts';

/** `same`: the place is the folder itself. `copy`: neither links nor junctions work there. */
export type Pointing = 'same' | 'link' | 'copy';

/** In a copy that was made here, so that the next run knows it from the user's own folder. */
const mark = '.copied';

/**
 * Makes `place` lead to the folder `target`, as the original's `processed/Train -> ../raw/Train`: a relative link, on Windows a junction (which
 * needs no rights), else a copy. A link that leads nowhere and an earlier copy are replaced; anything else that is there only with
 * `force`. Throws `ExistingDataError`.
 */
export async function pointTo(
  place: string,
  target: string,
  { force, copy }: { force: boolean; copy: boolean },
): Promise<Pointing> {
  if (resolve(place) === resolve(target)) return 'same';
  await mkdir(dirname(place), { recursive: true });
  const real = await realpath(target);
  const there = await whatIs(place, real);
  if (there === 'right' && !copy) return 'link';
  // Whoever changes the folder behind it takes the copy away first.
  if (there === 'copied') return 'copy';
  if (there === 'other' && !force) throw new ExistingDataError(`${place} is there already`);
  await clear(place);
  if (!copy && (await link(place, real))) return 'link';
  await copyTo(place, real);
  return 'copy';
}

async function copyTo(place: string, real: string): Promise<void> {
  const part = `${place}.part`;
  try {
    await rm(part, { recursive: true, force: true });
    await cp(real, part, { recursive: true });
    await writeFile(join(part, mark), '');
    await rename(part, place);
  } catch (error) {
    await rm(part, { recursive: true, force: true }).catch(() => undefined);
    throw await diskFailure(error, place, null, `All images, in ${real}.`);
  }
}

/** Throws `ExistingDataError` where `pointTo` would, before anything is fetched. */
export async function checkPlace(place: string, target: string): Promise<void> {
  if (resolve(place) === resolve(target)) return;
  const real = await realpath(target).catch(() => resolve(target));
  if ((await whatIs(place, real)) === 'other') throw new ExistingDataError(`${place} is there already`);
}

/** Takes away what `pointTo` made, so that nobody trains while the folder behind it changes. */
export async function unpoint(place: string, target: string): Promise<void> {
  if (resolve(place) === resolve(target)) return;
  const real = await realpath(target).catch(() => resolve(target));
  if ((await whatIs(place, real)) !== 'other') await clear(place);
}

async function whatIs(place: string, real: string): Promise<'nothing' | 'right' | 'copied' | 'useless' | 'other'> {
  const about = await lstat(place).catch(() => null);
  if (about === null) return 'nothing';
  if (about.isSymbolicLink()) {
    const leads = await realpath(place).catch(() => null);
    return leads === real ? 'right' : leads === null ? 'useless' : 'other';
  }
  const names = about.isDirectory() ? await readdir(place) : ['a file'];
  if (names.length === 0) return 'useless';
  return names.includes(mark) ? 'copied' : 'other';
}

/** A link goes, never what it leads to. */
async function clear(place: string): Promise<void> {
  const about = await lstat(place).catch(() => null);
  if (about === null) return;
  if (!about.isDirectory())
    await (process.platform === 'win32' ? rmdir(place).catch(() => unlink(place)) : unlink(place));
  else await rm(place, { recursive: true, force: true });
}

async function link(place: string, real: string): Promise<boolean> {
  try {
    if (process.platform === 'win32') await symlink(real, place, 'junction');
    else await symlink(relative(await realpath(dirname(place)), real), place, 'dir');
    return true;
  } catch (error) {
    // File systems without links (FAT, some network and bucket mounts) say so in many ways.
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (!['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'UNKNOWN'].includes(code)) throw error;
    return false;
  }
}
