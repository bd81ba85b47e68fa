import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { command as syncModel } from '../../../src/cli/syncModel.ts';
import { command as versions } from '../../../src/cli/versions.ts';
import { diskRunStore } from '../../../src/platform/node/diskRunStore.ts';
import { lockFolder } from '../../../src/platform/node/folderLock.ts';
import { writeCheckpoint } from '../../../src/training/checkpoint.ts';
import type { RunRecord } from '../../../src/training/types.ts';
import { checkpointOf, sourceOf, temporaryFolder, treeOf } from '../registry/support.ts';
import { runCli } from '../support/cli.ts';

const run = promisify(execFile);
let place = '';
let flags: string[] = [];
beforeEach(async () => {
  place = await temporaryFolder();
  const settings = { dir: 'output', models_dir: 'models', ios_dir: 'app/Resources' };
  flags = Object.entries(settings).flatMap(([name, path]) => ['--set', `output.${name}=${join(place, path)}`]);
  await mkdir(join(place, 'app'));
});
afterEach(() => vi.restoreAllMocks());

/** What a command prints. */
async function said(work: Promise<number>, log: ReturnType<typeof listen>): Promise<string> {
  expect(await work).toBe(0);
  return log.lines.splice(0).join('\n');
}
function listen(): { lines: string[] } {
  const lines: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((...words) => void lines.push(words.join(' ')));
  return { lines };
}
/** What a version is without a certificate is the subject of its own tests, below. */
const unproven = ['--no-certificate', '--force'];
const sync = (...args: string[]): Promise<string> => said(syncModel.run([...args, ...unproven, ...flags]), listen());
const ask = (...args: string[]): Promise<string> => said(versions.run([...args, ...flags]), listen());

/** As `npm run train` leaves it. */
async function trained(
  seed: number,
  labels?: readonly string[],
  change: Partial<RunRecord> = {},
  hash = 'abc',
): Promise<void> {
  const made = checkpointOf(seed, labels);
  const checkpoint = { ...made, dataset: { ...made.dataset, hash } };
  const runs = diskRunStore(join(place, 'output'));
  const [before] = await runs.list();
  if (before !== undefined) await runs.delete(before.id);
  const { config, dataset, runId: id } = checkpoint;
  const record: RunRecord = {
    schema: 4,
    id,
    createdAt: 0,
    config,
    dataset,
    weightsId: null,
    state: 'completed',
    latestEpoch: 2,
    bestEpoch: 2,
    storedBytes: 0,
    ...change,
  };
  await runs.writeCheckpoint(record, 2, writeCheckpoint(checkpoint));
  const { test } = sourceOf('v1.0.0', seed).run;
  if (test !== null) await runs.appendEvents(id, [{ at: 1, type: 'testEvaluated', ...test }]);
}

it('makes the version, points current at it, copies the package, and says all that', async () => {
  await trained(1);
  const text = await sync('--version', 'v1.0.0', '--notes', 'The first.');
  expect(text).toContain('v1.0.0: M, tiny, 3 classes; Test: 75.0 % of 4 images;');
  expect(text).toContain('Certificate: none. It was made with --no-certificate.');
  expect(text).toMatch(/create +\S+models\/current +none → v1\.0\.0/);
  await run('sha256sum', ['-c', '--strict', '--quiet', 'SHA256SUMS'], { cwd: join(place, 'models/versions/v1.0.0') });
  expect(await readFile(join(place, 'models/current'), 'utf8')).toBe('v1.0.0\n');
  expect(await readFile(join(place, 'models/versions/v1.0.0/notes.md'), 'utf8')).toBe('The first.');
  // The package that the app loads is the version's, to the byte, and nothing else lies there.
  expect(await treeOf(join(place, 'app/Resources'))).toEqual(
    Object.fromEntries(
      Object.entries(await treeOf(join(place, 'models/versions/v1.0.0'))).filter(([path]) =>
        path.startsWith('M.mlpackage'),
      ),
    ),
  );
});

it('takes the number as make did, and the folder by --to', async () => {
  await trained(1);
  await sync('VERSION=1.0.0', '--to', join(place, 'app'));
  expect(Object.keys(await treeOf(join(place, 'app')))).toContain('M.mlpackage/Manifest.json');
});

it('a dry run shows what the command then does, and changes nothing', async () => {
  await trained(1);
  const before = await treeOf(place);
  const promised = await sync('--version', 'v1.0.0', '--dry-run');
  expect(await treeOf(place)).toEqual(before);
  expect(promised).toBe(`Dry run: nothing was changed.\n${await sync('--version', 'v1.0.0')}`);
});

it('a version stays what it is when another model lies in output.dir, and the command says so', async () => {
  await trained(1);
  await sync('--version', 'v1.0.0');
  expect(await sync('--version', 'v1.0.0')).not.toContain('NOT');
  const before = await treeOf(join(place, 'models'));
  await trained(2, ['BIO Alder', 'MDT Cedar', 'New Oak', 'SJM Elm']);
  const text = await sync('--version', 'v1.0.0');
  expect(text).toMatch(/the model in \S+output is NOT the one in v1\.0\.0.*--version v1\.1\.0/);
  expect(await treeOf(join(place, 'models'))).toEqual(before);
});

it('says which number would be next when none is given', async () => {
  await trained(1);
  await expect(sync()).rejects.toThrow('The next number would be v1.0.0: --version v1.0.0');
  await sync('--version', 'v1.0.0');
  await trained(2);
  await expect(sync()).rejects.toThrow('--version v1.0.1');
  await trained(3, ['BIO Alder', 'New Oak', 'SJM Elm']);
  await expect(sync()).rejects.toThrow('--version v1.1.0');
});

it('a run that can’t be read costs no more than the suggestion', async () => {
  await trained(1);
  await sync('--version', 'v1.0.0');
  await writeFile(join(place, 'output/run.json'), '{"schema":');
  expect(await ask('list')).toContain('The next number would be v1.0.1');
  await expect(sync()).rejects.toMatchObject({ name: 'UsageError' });
});

it('one process at a time makes versions in a folder', async () => {
  await trained(1);
  const lock = await lockFolder(join(place, 'models'), { name: 'sync', doing: 'is busy in', instead: 'wait.' });
  const before = await treeOf(place);
  await expect(sync('--version', 'v1.0.0')).rejects.toMatchObject({
    name: 'FolderInUseError',
    message: expect.stringContaining('is making or copying a version from') as string,
  });
  expect(await treeOf(place)).toEqual(before);
  await sync('--version', 'v1.0.0', '--dry-run');
  await lock.release();
  await sync('--version', 'v1.0.0');
  expect(Object.keys(await treeOf(join(place, 'models'))).filter((path) => path.includes('lock'))).toEqual([]);
});

it.each([
  ['no run', async () => {}, [], 'NoModelError'],
  ['a run that was cut off', () => trained(1, undefined, { state: 'stopped' }), [], 'UnfinishedModelError'],
  ['a run that is on', () => trained(1, undefined, { state: 'running' }), [], 'UnfinishedModelError'],
  ['no such folder of the app', () => trained(1), ['--to', '/nowhere/at/all'], 'FileMissingError'],
  ['a number that is none', () => trained(1), ['--version', 'first'], 'InvalidVersionError'],
  ['two numbers', () => trained(1), ['VERSION=v2.0.0'], 'UsageError'],
  ['a word', () => trained(1), ['v2.0.0'], 'UsageError'],
] as const)('%s: one named error, and nothing is written', async (_, prepare, words, name) => {
  await prepare();
  const before = await treeOf(place);
  const version = words.some((word) => word === '--version') ? [] : ['--version', 'v1.0.0'];
  await expect(sync(...version, ...words)).rejects.toMatchObject({ name });
  expect(await treeOf(place)).toEqual(before);
});

it('says that the version was made where its package could not be copied', async () => {
  await trained(1);
  await writeFile(join(place, 'app/Resources'), 'a file where a folder is needed');
  await expect(sync('--version', 'v1.0.0')).rejects.toMatchObject({
    name: 'VersionNotCopiedError',
    kept: expect.stringMatching(/models\/versions\/v1\.0\.0 was made and stays\..*unchanged/) as string,
    remedy: expect.stringMatching(/npm run sync-model -- --version v1\.0\.0$/) as string,
  });
  await run('sha256sum', ['-c', '--strict', '--quiet', 'SHA256SUMS'], { cwd: join(place, 'models/versions/v1.0.0') });
  await rm(join(place, 'app/Resources'));
  expect(await sync('--version', 'v1.0.0')).toMatch(/create +\S+app\/Resources\/M\.mlpackage/);
});

it('takes the place of the original’s link to the current version', async () => {
  await trained(1);
  await mkdir(join(place, 'models/versions/v0.9.0'), { recursive: true });
  await symlink('versions/v0.9.0', join(place, 'models/current'));
  await sync('--version', 'v1.0.0');
  expect(await readFile(join(place, 'models/current'), 'utf8')).toBe('v1.0.0\n');
});

it('lists, shows, compares, rolls back and annotates', async () => {
  expect(await ask()).toContain('npm run sync-model -- --version v1.0.0');
  await trained(1);
  await sync('--version', 'v1.0.0');
  await trained(2, ['BIO Alder', 'MDT Cedar', 'New Oak']);
  await sync('--version', 'v1.1.0');
  await ask('notes', 'v1.1.0', 'Knows the oak.');
  const table = (await ask('list')).split('\n');
  expect(table[0]).toMatch(/version +made +network +classes +Test +validation +size +certificate +started from +notes/);
  expect(table[1]).toMatch(
    /^\* +v1\.1\.0 .* tiny +3 +75\.0 % of 4 images +50\.0 % .* none +a random start +Knows the oak\.$/,
  );
  expect(table[2]).toMatch(/^ +v1\.0\.0 /);
  expect(table.at(-1)).toContain('The next number would be v1.1.1');
  expect(table.at(-2)).toContain('Nothing proves that the package of v1.1.0, v1.0.0 answers as the trained model does');

  expect(await ask('show', '1.1.0')).toMatch(
    /v1\.1\.0: M.*; current\n[^]*labels +BIO Alder, MDT Cedar, New Oak\n[^]*Knows the oak/,
  );
  const diff = await ask('diff', 'v1.0.0', 'v1.1.0');
  expect(diff).toMatch(/training\.seed +1 +2\n/);
  expect(diff).toMatch(/certificate +none +none/);
  expect(diff.split('\n').slice(-2)).toEqual(['+ New Oak', '- SJM Elm']);

  const app = await treeOf(join(place, 'app'));
  expect(await ask('rollback', 'v1.0.0')).toMatch(
    /v1\.0\.0 is current now; it was v1\.1\.0\.\n.*sync-model -- --version v1\.0\.0/,
  );
  expect(await readFile(join(place, 'models/current'), 'utf8')).toBe('v1.0.0\n');
  expect(await treeOf(join(place, 'app'))).toEqual(app);
  await sync('--version', 'v1.0.0');
  expect(await treeOf(join(place, 'app'))).not.toEqual(app);
});

it('says when two Test figures are not about the same images, and how to compare them on the same', async () => {
  await trained(1);
  await sync('--version', 'v1.0.0');
  await trained(2);
  await sync('--version', 'v1.0.1');
  expect(await ask('diff', 'v1.0.0', 'v1.0.1')).not.toContain('Test images');
  await trained(3, undefined, {}, 'other');
  await sync('--version', 'v1.0.2');
  const diff = await ask('diff', 'v1.0.0', 'v1.0.2');
  expect(diff).toContain('so their Test images may differ: the figures need not be about the same images.');
  expect(diff).toContain('npm run evaluate -- --checkpoint FILE --data PATH');
});

it('marks damaged versions, and answers as JSON', async () => {
  await trained(1);
  await sync('--version', 'v1.0.0');
  await writeFile(join(place, 'models/versions/v1.0.0/labels.txt'), 'x');
  const text = await ask('list');
  expect(text).toContain('!  v1.0.0  damaged: labels.txt was changed since');
  expect(text).toContain('names v1.0.0, which is not there whole');
  await expect(ask('show', 'v1.0.0')).rejects.toMatchObject({ name: 'DamagedVersionError' });
  await expect(sync('--version', 'v1.0.0')).rejects.toMatchObject({ name: 'DamagedVersionError' });
  expect(JSON.parse(await ask('list', '--json'))).toEqual({
    versions: [],
    damaged: [{ version: 'v1.0.0', reason: 'labels.txt was changed since' }],
    newer: [],
    current: 'v1.0.0',
    suggested: 'v1.0.1',
  });
});

it('says which versions newer code saved', async () => {
  await trained(1);
  await sync('--version', 'v1.0.0');
  await mkdir(join(place, 'models/versions/v2.0.0'));
  await writeFile(join(place, 'models/versions/v2.0.0/version.json'), '{"schema":3}');
  await writeFile(join(place, 'models/current'), 'v2.0.0\n');
  const text = await ask('list');
  expect(text).toContain('!  v2.0.0  saved by a newer version of PacerID Studio, left as it is');
  expect(text).not.toContain('not there whole');
  await expect(ask('rollback', 'v2.0.0')).rejects.toMatchObject({ name: 'NewerVersionError' });
});

it('as a process: a sentence with its remedy, and an exit code', async () => {
  const ended = await runCli(['versions', 'show', 'v1.0.0', ...flags]);
  expect(ended).toMatchObject({ code: 1, stdout: '' });
  expect(ended.stderr).toMatch(/^NoSuchVersionError: There is no version v1\.0\.0\.\nKept: .*\nWhat to do: /);
});
