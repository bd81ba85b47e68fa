import { randomBytes } from 'node:crypto';
import { readFileSync, rmdirSync, rmSync, utimesSync } from 'node:fs';
import { link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../../errors.ts';
import { asWriteError } from './atomicWrite.ts';

/** Another process writes there. */
export class FolderInUseError extends UserError {
  constructor(dir: string, lock: string, holder: { readonly pid: number; readonly host: string }) {
    const here = holder.host === hostname();
    super(`Process ${holder.pid}${here ? '' : ` on ${holder.host}`} is training into ${dir} now.`, {
      kept: 'It goes on; nothing was started here.',
      remedy: here
        ? 'Wait until it has ended, end it, or train into another folder: --set output.dir=FOLDER.'
        : `Wait until it has ended, or train into another folder: --set output.dir=FOLDER. If that computer is gone, try again in two minutes, or delete ${lock}.`,
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
 * Makes the folder and takes its lock, the file `train.lock`, until `release` or the end of this process. A lock whose process is gone
 * is taken over. Throws `FolderInUseError`, `NotWritableError`.
 */
export async function lockFolder(dir: string): Promise<{ release(): Promise<void> }> {
  const path = join(dir, 'train.lock');
  const mine = `${JSON.stringify({ pid: process.pid, host: hostname(), began: beginningOf(process.pid) })}\n`;
  let made = false;
  try {
    made = (await mkdir(dir, { recursive: true })) !== undefined;
    while (!(await create(path, mine))) {
      const found = await readFile(path, 'utf8').catch(() => null);
      // Released in between, or being written just now.
      if (found === null) continue;
      if (found === '' && (await ageOf(path)) < 5000) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        continue;
      }
      const holder = holderOf(found);
      if (holder !== null && (await lives(holder, path))) throw new FolderInUseError(dir, path, holder);
      await takeAway(path, found);
    }
  } catch (error) {
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
      if (made) rmdirSync(dir);
    } catch {
      // The lock is gone already, or, as it should be, there is something in the folder now.
    }
  };
  process.on('exit', free);
  return { release: () => Promise.resolve(free()) };
}

async function create(path: string, content: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    await file.writeFile(content);
    await file.close();
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Of two that find the same dead lock, the second may catch the first one's new lock: it is put back then. */
async function takeAway(path: string, dead: string): Promise<void> {
  const aside = `${path}.${randomBytes(4).toString('hex')}.part`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
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
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  return holder.began === beginningOf(holder.pid);
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
