import { mkdir, readFile, readdir, rename, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { asWriteError, writeWhole } from './atomicWrite.ts';
import { readRecord, runFiles } from './diskRunStore.ts';
import { exists } from './folder.ts';

/** Names, while files are on their way, the folder that they go to: a kill in between is finished by the next start. */
const marker = 'moving-aside';

/**
 * Moves the run that lies in `dir`, with what was made of it, to `dir/previous/<run id>/`, or `<run id>-2` where that name is taken: nothing
 * there is ever replaced. Answers with that folder, or null where there was nothing. After an error all is as it was. Needs the lock.
 */
export async function setAside(dir: string): Promise<string | null> {
  const names = await moving(dir);
  if (names.length === 0) return null;
  // What a run.json says that this version can't read makes room all the same.
  const id = (await readRecord(dir).catch(() => undefined))?.id;
  const to = await freeName(
    join(dir, 'previous', id ?? `unknown-${new Date().toISOString().replace(/[-:]|\.\d+Z$/g, '')}`),
  );
  await writeWhole(join(dir, marker), relative(dir, to));
  try {
    await finish(dir, to);
  } catch (error) {
    await undo(dir, to);
    throw asWriteError(error, to);
  }
  return to;
}

/** Finishes a move that a kill cut off; where that can't be done, all is put back. Needs the lock. */
export async function finishSettingAside(dir: string): Promise<void> {
  const name = await readFile(join(dir, marker), 'utf8').catch(() => null);
  if (name === null) return;
  const to = join(dir, name);
  if (!/^previous[\\/][^\\/]+$/.test(name)) await rm(join(dir, marker), { force: true });
  else await finish(dir, to).catch(() => undo(dir, to));
}

/** Brings back what `setAside` moved: the new run never began. */
export async function putBack(dir: string, from: string): Promise<void> {
  for (const name of await readdir(from)) await rename(join(from, name), join(dir, name));
  await rm(from, { recursive: true });
}

async function finish(dir: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  const names = await moving(dir);
  const taken = new Set(await readdir(to));
  const other = names.some((name) => taken.has(name)) ? await freeName(to) : to;
  if (other !== to) await mkdir(other);
  for (const name of names) await rename(join(dir, name), join(taken.has(name) ? other : to, name));
  await rm(join(dir, marker), { force: true });
}

/** Brings back what has been moved, as far as it can be: an error that stays must not stop every later start. */
async function undo(dir: string, to: string): Promise<void> {
  for (const name of await readdir(to).catch((): string[] => []))
    if (!(await exists(join(dir, name)))) await rename(join(to, name), join(dir, name)).catch(() => undefined);
  if ((await readdir(to).catch((): string[] => [])).length === 0)
    await rm(to, { recursive: true, force: true }).catch(() => undefined);
  await rm(join(dir, marker), { force: true }).catch(() => undefined);
}

/** `path`, or `path-2`, `path-3`, …: the first that isn't there. */
async function freeName(path: string): Promise<string> {
  for (let n = 1; ; n++) {
    const name = n === 1 ? path : `${path}-${n}`;
    if (!(await exists(name))) return name;
  }
}

async function moving(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch((): string[] => []);
  const made = names.filter((name) => name === 'metrics.json' || /\.mlpackage(\.certificate\.json)?$/.test(name));
  return [...made, ...(await runFiles(dir))];
}
