import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FolderInUseError, lockFolder } from '../../../src/platform/node/folderLock.ts';

const training = { name: 'train', doing: 'is training into', instead: 'take another one.' };

/** proc(5): the state and the start of a process. */
function stat(pid: number): { state: string; began: string } {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0]!, began: fields[19]! };
}

// A shell that becomes another program never waits for what it had started: that one stays, ended, in the list of processes.
test.skipIf(process.platform !== 'linux')(
  'a holder that was killed frees the folder, even while nobody has buried it',
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'lock-'));
    const parent = spawn('/bin/sh', ['-c', 'sleep 30 & echo $!; exec sleep 30'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    try {
      const pid = Number(await new Promise((resolve) => parent.stdout.once('data', resolve)));
      writeFileSync(join(dir, 'train.lock'), `${JSON.stringify({ pid, host: hostname(), began: stat(pid).began })}\n`);
      await expect(lockFolder(dir, training)).rejects.toThrow(FolderInUseError);
      process.kill(pid, 'SIGKILL');
      await expect.poll(() => stat(pid).state).toBe('Z');
      const lock = await lockFolder(dir, training);
      expect(JSON.parse(readFileSync(join(dir, 'train.lock'), 'utf8'))).toMatchObject({ pid: process.pid });
      await lock.release();
    } finally {
      parent.kill('SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    }
  },
);

test('two locks of one folder are two; each says what its holder does, and folders made for it go again', async () => {
  const root = mkdtempSync(join(tmpdir(), 'lock-'));
  try {
    const dir = join(root, 'not', 'yet');
    const lock = await lockFolder(dir, training);
    await expect(lockFolder(dir, training)).rejects.toMatchObject({
      message: `Process ${process.pid} is training into ${dir} now.`,
      remedy: 'Wait until it has ended, end it, or take another one.',
    });
    const fetching = await lockFolder(dir, { name: 'download', doing: 'is fetching into', instead: 'wait.' });
    expect(readdirSync(dir)).toEqual(['download.lock', 'train.lock']);
    await fetching.release();
    await lock.release();
    expect(readdirSync(root)).toEqual([]);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test('whoever has patience waits until another computer’s lock counts as gone, and is refused once it shows life', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'lock-'));
  const path = join(dir, 'train.lock');
  const silentFor = (seconds: number): void => {
    const then = new Date(Date.now() - seconds * 1000);
    utimesSync(path, then, then);
  };
  try {
    const told: number[] = [];
    const patient = { ...training, patience: (seconds: number) => told.push(seconds) };
    writeFileSync(path, `${JSON.stringify({ pid: 1, host: 'taken-away', began: '' })}\n`);
    silentFor(100);
    await expect(lockFolder(dir, training)).rejects.toThrow(FolderInUseError);
    const alive = lockFolder(dir, patient);
    setTimeout(() => silentFor(0), 300);
    await expect(alive).rejects.toThrow(FolderInUseError);
    silentFor(108.5);
    const lock = await lockFolder(dir, patient);
    expect(told).toEqual([10, 2]);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ pid: process.pid });
    await lock.release();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
