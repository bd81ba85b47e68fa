import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { writeWhole } from '../../../src/platform/node/atomicWrite.ts';
import { startProcess } from '../support/cli.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'pacerid-write-'))));
afterEach(() => rmSync(folder, { recursive: true }));

it('replaces a file and leaves nothing beside it', async () => {
  const path = join(folder, 'deep', 'current');
  await writeWhole(path, 'v1.0.0\n');
  await writeWhole(path, 'v1.1.0\n');
  expect(readFileSync(path, 'utf8')).toBe('v1.1.0\n');
  expect(readdirSync(join(folder, 'deep'))).toEqual(['current']);
});

it('takes away what a killed process left of this file, and nothing else', async () => {
  const gone = startProcess(process.execPath, ['-e', '']);
  await gone.ended;
  const dead = `${gone.pid}-0badcafe.part`;
  const living = `${process.ppid}-0badcafe.part`;
  const others = [`current.${living}`, `current.json.${dead}`, 'current.part', `other.${dead}`];
  for (const name of [`current.${dead}`, ...others]) writeFileSync(join(folder, name), 'half');
  await writeWhole(join(folder, 'current'), 'v1.0.0\n');
  expect(readdirSync(folder).sort()).toEqual(['current', ...others].sort());
});

it('leaves the old file where its content fails to come', async () => {
  const path = join(folder, 'file');
  await writeWhole(path, 'old');
  async function* broken(): AsyncGenerator<Uint8Array> {
    await Promise.resolve();
    yield new Uint8Array(10);
    throw new Error('broken off');
  }
  await expect(writeWhole(path, broken())).rejects.toThrow('broken off');
  expect(readFileSync(path, 'utf8')).toBe('old');
  expect(readdirSync(folder)).toEqual(['file']);
});
