import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { runCli, startProcess } from './cli.ts';

const node = (code: string, timeout = 10_000) => startProcess(process.execPath, ['-e', code], { timeout });

it('hears lines and events, past and coming, and the end', async () => {
  const child = node(`
    console.log('{"type":"a","n":1}'); console.error('a warning');
    setTimeout(() => { console.log('{"type":"a","n":2}\\nnot json\\n{broken'); process.stdout.write('no newline'); process.exitCode = 3; }, 100);
  `);
  expect(await child.event('a', 2)).toEqual({ type: 'a', n: 2 });
  expect(await child.event('a', 1, ({ n }) => n === 2)).toEqual({ type: 'a', n: 2 });
  expect(await child.line(/warn/)).toBe('a warning');
  const ended = await child.ended;
  expect(ended).toMatchObject({ code: 3, signal: null, stderr: 'a warning\n' });
  expect(ended.stdout.endsWith('no newline')).toBe(true);
  await expect(child.event('b')).rejects.toThrow('ended without');
});

it('kills what the process started as well, and says so when what was awaited can no longer come', async () => {
  const child = node(`
    const inner = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    console.log('inner ' + inner.pid); setInterval(() => {}, 1000);
  `);
  const inner = Number((await child.line(/^inner/)).slice(6));
  const never = child.line(/never/);
  child.kill();
  await expect(never).rejects.toThrow('ended before');
  expect(await child.ended).toMatchObject({ code: null, signal: 'SIGKILL' });
  await expect.poll(() => isAlive(inner)).toBe(false);
});

it('a process that hangs is killed and is an error', async () => {
  const child = node('setInterval(() => {}, 1000)', 300);
  await expect(child.ended).rejects.toThrow('did not end within 300 ms');
  await expect.poll(() => isAlive(child.pid)).toBe(false);
});

it('runs a command of ours', async () => {
  const ended = await runCli(['no-such-command']);
  expect(ended.code).toBe(2);
  expect(ended.stderr).toContain('There is no command “no-such-command”');
});

/** Zombies count as dead. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== 'linux') return true;
  return !/^State:\s+[ZX]/m.test(readStatus(pid));
}

function readStatus(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return 'State: X';
  }
}
