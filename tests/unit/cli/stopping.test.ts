/** One Ctrl-C at commands that write at their end: real processes, held still where a file that they read is a pipe. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cliOrFail, setFlags, startCli } from '../support/cli.ts';
import { fewSteps } from '../support/fewSteps.ts';

const settings = {
  'data.source': 'sample',
  ...fewSteps,
  'model.architecture': 'tiny',
  'model.pretrained': false,
  'training.device': 'wasm',
};
const set = setFlags(settings);

let place: string;
beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), 'stopping-'));
  await cliOrFail(['train', ...set], { cwd: place });
});
afterAll(() => rmSync(place, { recursive: true, force: true }));

/** A place of its own, with the trained model in it. */
function copied(): string {
  const folder = mkdtempSync(join(place, 'at-'));
  cpSync(join(place, 'output'), join(folder, 'output'), { recursive: true });
  return folder;
}

/** Puts a pipe in the place of a file. Answers once somebody reads it, with what lets them go on. */
function pipeAt(path: string): () => Promise<() => void> {
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  execFileSync('mkfifo', [path]);
  return async () => {
    let writer = -1;
    const opened = (): boolean => {
      try {
        writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
        return true;
      } catch {
        return false;
      }
    };
    await expect.poll(opened, { interval: 5, timeout: 60_000 }).toBe(true);
    return () => closeSync(writer);
  };
}

describe.skipIf(process.platform === 'win32')('one SIGINT', () => {
  it.each(['safetensors', 'mlpackage'])('ends the export of %s, whatever it waits for', async (format) => {
    const cwd = copied();
    // What a checkpoint's run says of itself is looked at first.
    const read = pipeAt(join(cwd, 'output/run.json'));
    const child = startCli(['export', '--format', format, '--output', 'o'], { cwd });
    const goOn = await read();
    const began = performance.now();
    child.signal('SIGINT');
    await child.line(/^Stopped/);
    expect(performance.now() - began).toBeLessThan(5000);
    // Node ends when no file is being read any more.
    goOn();
    expect(await child.ended).toMatchObject({ code: 130, stdout: 'Stopped; nothing was written.\n', stderr: '' });
    expect(existsSync(join(cwd, 'o'))).toBe(false);
  });

  it('is heard by work that goes on: it ends before it writes', async () => {
    const cwd = copied();
    const read = pipeAt(join(cwd, 'output/run.json'));
    const child = startCli(['export', '--format', 'safetensors', '--output', 'o'], { cwd });
    const goOn = await read();
    child.signal('SIGINT');
    goOn();
    expect(await child.ended).toMatchObject({ code: 130, stdout: 'Stopped; nothing was written.\n' });
    expect(existsSync(join(cwd, 'o'))).toBe(false);
  });

  it('ends sync-model before it has begun to write', async () => {
    const cwd = copied();
    mkdirSync(join(cwd, 'ios'));
    const read = pipeAt(join(cwd, 'models/versions/v1.0.0/SHA256SUMS'));
    const child = startCli(['sync-model', '--version', 'v1.0.0', '--no-certificate', '--force'], { cwd });
    const goOn = await read();
    child.signal('SIGINT');
    await child.line(/^Stopped/);
    goOn();
    expect(await child.ended).toMatchObject({ code: 130, stdout: '', stderr: 'Stopped; nothing was written.\n' });
    expect(readdirSync(join(cwd, 'models'))).toEqual(['versions']);
    expect(readdirSync(join(cwd, 'ios'))).toEqual([]);
  });

  it('lets sync-model come to its end once it writes, and says so', async () => {
    const cwd = copied();
    mkdirSync(join(cwd, 'ios'));
    // Looked at when the version is made.
    const read = pipeAt(join(cwd, 'models/current'));
    const child = startCli(['sync-model', '--version', 'v1.0.0', '--no-certificate', '--force'], { cwd });
    const goOn = await read();
    child.signal('SIGINT');
    await child.line(/^SIGINT: what is ready is being written/);
    rmSync(join(cwd, 'models/current'));
    goOn();
    expect(await child.ended).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Certificate: none') as unknown,
    });
    expect(readdirSync(join(cwd, 'models')).sort()).toEqual(['current', 'versions']);
    expect(readdirSync(join(cwd, 'ios'))).toEqual(['PacerIDClassifier.mlpackage']);
  });

  it('ends versions', async () => {
    const cwd = copied();
    const read = pipeAt(join(cwd, 'models/current'));
    const child = startCli(['versions'], { cwd });
    const goOn = await read();
    child.signal('SIGINT');
    expect(await child.ended).toMatchObject({ signal: 'SIGINT', stdout: '' });
    goOn();
  });
});
