import { randomBytes } from 'node:crypto';
import { readFileSync, rmdirSync, rmSync, utimesSync } from 'node:fs';
import { link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { UserError } from '../../errors.ts';
import { asWriteError } from './atomicWrite.ts';
import { isAlive } from './processes.ts';

/** What a process does in a folder that it has for itself. */
export interface Occupation {
  /** The lock is the file `<name>.lock`. */
  readonly name: string;
  /** `is training into`: stands before the folder. */
  readonly doing: string;
  /** `train into another folder: …`: what else whoever finds it locked may do. */
  readonly instead: string;
  /** Waits for a silent lock of another computer to count as gone, and tells how long; without it, that is refused at once. */
  readonly patience?: (seconds: number) => void;
}

/** Another process writes there. */
export class FolderInUseError extends UserError {
  constructor(
    dir: string,
    lock: string,
    { doing, instead }: Occupation,
    holder: { readonly pid: number; readonly host: string },
  ) {
    const here = holder.host === hostname();
    super(`Process ${holder.pid}${here ? '' : ` on ${holder.host}`} ${doing} ${dir} now.`, {
      kept: 'It goes on; nothing was started here.',
      remedy: here
        ? `Wait until it has ended, end it, or ${instead}`
        : `Wait until it has ended, or ${instead} If that computer is gone, try again in two minutes, or delete ${lock}.`,
    });
  }
}

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When that process began, as the system counts it: a later process may bear the same number. '' where it can't be told. */
  readonly began: string;
}

/** A holder shows that it lives at least this often; one on another computer counts as gone after `SILENT`. */
const SIGN_OF_LIFE = 20_000;
const SILENT = 110_000;

/**
 * Makes the folder and takes its lock until `release` or the end of this process. A lock whose process is gone is taken over. Folders
 * that were made and are empty in the end go again. Throws `FolderInUseError`, `NotWritableError`.
 */
export async function lockFolder(dir: string, occupation: Occupation): Promise<{ release(): Promise<void> }> {
  const path = join(dir, `${occupation.name}.lock`);
  const mine = `${JSON.stringify({ pid: process.pid, host: hostname(), began: beginningOf(process.pid) })}\n`;
  let made: string[] = [];
  try {
    made = foldersFrom(dir, await mkdir(dir, { recursive: true }));
    while (!(await create(path, mine))) {
      const found = await readFile(path, 'utf8')
        .catch(nullIfMissing)
        .catch((error: unknown) => {
          throw asWriteError(error, path);
        });
      // Released in between.
      if (found === null) continue;
      // Being written just now.
      if (found === '' && (await ageOf(path)) < 5000) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        continue;
      }
      const holder = holderOf(found);
      if (holder !== null && (await lives(holder, path)) && !(await fallsSilent(holder, path, occupation)))
        throw new FolderInUseError(dir, path, occupation, holder);
      await takeAway(path, found);
    }
  } catch (error) {
    removeEmpty(made);
    throw asWriteError(error, dir);
  }
  const sign = setInterval(() => {
    try {
      const now = new Date();
      utimesSync(path, now, now);
    } catch {
      // Deleted by hand: the user knows.
    }
  }, SIGN_OF_LIFE).unref();
  const free = (): void => {
    clearInterval(sign);
    process.off('exit', free);
    try {
      if (readFileSync(path, 'utf8') === mine) rmSync(path);
    } catch {
      // Deleted by hand.
    }
    removeEmpty(made);
  };
  process.on('exit', free);
  return { release: () => Promise.resolve(free()) };
}

/** `dir` and the folders above it, up to the first that `mkdir` made; the innermost first. */
function foldersFrom(dir: string, first: string | undefined): string[] {
  if (first === undefined) return [];
  const folders = [resolve(dir)];
  for (let last = resolve(dir); last !== resolve(first) && last !== dirname(last);)
    folders.push((last = dirname(last)));
  return folders;
}

function removeEmpty(folders: readonly string[]): void {
  try {
    for (const folder of folders) rmdirSync(folder);
  } catch {
    // As it should be, there is something in it now.
  }
}

async function create(path: string, content: string): Promise<boolean> {
  const file = await open(path, 'wx').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return null;
    throw error;
  });
  if (file === null) return false;
  try {
    await file.writeFile(content);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  return true;
}

/** Of two that find the same dead lock, the second may catch the first one's new lock: it is put back then. */
async function takeAway(path: string, dead: string): Promise<void> {
  const aside = `${path}.${randomBytes(4).toString('hex')}.part`;
  if ((await rename(path, aside).catch(nullIfMissing)) === null) return;
  if ((await readFile(aside, 'utf8')) !== dead) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

function holderOf(text: string): Holder | null {
  try {
    const holder = JSON.parse(text) as Holder;
    return typeof holder.pid === 'number' ? holder : null;
  } catch {
    // Cut off while it was written.
    return null;
  }
}

async function lives(holder: Holder, path: string): Promise<boolean> {
  if (holder.host !== hostname()) {
    return (await ageOf(path)) < SILENT;
  }
  return isAlive(holder.pid) && holder.began === beginningOf(holder.pid);
}

/** True once another computer's lock has been silent for so long that it counts as gone; false as soon as it shows life. */
async function fallsSilent(holder: Holder, path: string, { patience }: Occupation): Promise<boolean> {
  if (patience === undefined || holder.host === hostname()) return false;
  let age = await ageOf(path);
  patience(Math.ceil((SILENT - age) / 1000));
  while (age < SILENT) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const now = await ageOf(path);
    if (now < age) return false;
    age = now;
  }
  return true;
}

/** Milliseconds since it was last touched. */
async function ageOf(path: string): Promise<number> {
  return Date.now() - ((await stat(path).catch(() => null))?.mtimeMs ?? 0);
}

/**
 * Linux: clock ticks between the start of the computer and that of the process (proc(5), field 22); '' for one that has ended and
 * waits for its parent to notice (state Z): in a container without an init process it may wait forever. Elsewhere ''.
 */
function beginningOf(pid: number): string {
  if (process.platform !== 'linux') return '';
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? '' : (fields[19] ?? '');
  } catch {
    return '';
  }
}

/** Anything but a file that isn't there is told: trying again would find the same. */
function nullIfMissing(error: unknown): null {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
  throw error;
}
