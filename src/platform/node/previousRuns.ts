import { mkdir, readFile, readdir, rename, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { asWriteError, writeWhole } from './atomicWrite.ts';
import { readRecord, runFiles } from './diskRunStore.ts';

/** Names, while files are on their way, the folder that they go to: a kill in between is finished by the next start. */
const marker = 'moving-aside';

/**
 * Moves the run that lies in `dir`, with what was made of it, to `dir/previous/<run id>/`. Answers with that folder, or null where
 * there was nothing. Needs the lock.
 */
export async function setAside(dir: string): Promise<string | null> {
  const names = await moving(dir);
  if (names.length === 0) return null;
  const id = (await readRecord(dir))?.id ?? `unknown-${new Date().toISOString().replace(/[-:]|\.\d+Z$/g, '')}`;
  const to = join(dir, 'previous', id);
  await writeWhole(join(dir, marker), relative(dir, to));
  await finish(dir, to);
  return to;
}

/** Finishes a move that a kill cut off. Needs the lock. */
export async function finishSettingAside(dir: string): Promise<void> {
  const to = await readFile(join(dir, marker), 'utf8').catch(() => null);
  if (to !== null) await finish(dir, join(dir, to));
}

/** Brings back what `setAside` moved: the new run never began. */
export async function putBack(dir: string, from: string): Promise<void> {
  for (const name of await readdir(from)) await rename(join(from, name), join(dir, name));
  await rm(from, { recursive: true });
}

async function finish(dir: string, to: string): Promise<void> {
  try {
    await mkdir(to, { recursive: true });
    for (const name of await moving(dir)) await rename(join(dir, name), join(to, name));
    await rm(join(dir, marker), { force: true });
  } catch (error) {
    throw asWriteError(error, to);
  }
}

async function moving(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch((): string[] => []);
  const made = names.filter((name) => name === 'metrics.json' || name.endsWith('.mlpackage'));
  return [...made, ...(await runFiles(dir))];
}
