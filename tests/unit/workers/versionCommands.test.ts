import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { BlobReader, Uint8ArrayWriter, ZipReader } from '@zip.js/zip.js';
import { beforeEach, expect, it } from 'vitest';
import type { ExportedBytes } from '../../../src/export/index.ts';
import { nodeFolder } from '../../../src/platform/node/folder.ts';
import { memoryRunStore } from '../../../src/platform/node/runStore.ts';
import { weightStore } from '../../../src/platform/node/weightStore.ts';
import { writeCheckpoint } from '../../../src/training/checkpoint.ts';
import { cancellableWorks } from '../../../src/workers/cancelling.ts';
import type { Certified } from '../../../src/workers/certifying.ts';
import { CertificateCancelledError, CertificateImagesMissingError } from '../../../src/workers/certifyingErrors.ts';
import { weightsCommands } from '../../../src/workers/firstWeights.ts';
import { versionCommands } from '../../../src/workers/versionCommands.ts';
import { checkpointOf, memoryFolder, proofOf, sourceOf, temporaryFolder, treeOf } from '../registry/support.ts';

const run = promisify(execFile);
/** Stands for the handle of a picked folder: a folder of the disk. */
const handleOf = (path: string): FileSystemDirectoryHandle => ({ name: path }) as FileSystemDirectoryHandle;

/** What comes of a comparison. */
type Check = (exported: ExportedBytes, labels: readonly string[]) => Promise<Certified>;
const passes: Check = (exported, labels) => Promise.resolve(proofOf(exported, labels));

async function page(check: Check = passes) {
  const runs = memoryRunStore();
  const cache = weightStore(await temporaryFolder());
  const commands = versionCommands({
    models: memoryFolder().folder,
    runs,
    pickedFolder: ({ name }) => {
      // A picked folder cannot rename folders.
      const { replaceFolder: _, ...folder } = nodeFolder(name);
      return folder;
    },
    importWeights: weightsCommands(cache).importWeights,
    certify: (_, exported, { dataset }) => check(exported, dataset.classes),
    works: cancellableWorks(),
    emit: () => undefined,
    now: () => 1_760_000_000_000,
  });
  const train = async (seed: number, labels?: readonly string[]): Promise<string> => {
    const checkpoint = checkpointOf(seed, labels);
    const { runId: id, config, dataset } = checkpoint;
    const about = { schema: 4, id, createdAt: seed, config, dataset, weightsId: null, state: 'completed' } as const;
    await runs.writeCheckpoint(
      { ...about, latestEpoch: 2, bestEpoch: 2, storedBytes: 0 },
      2,
      writeCheckpoint(checkpoint),
    );
    const { test } = sourceOf('v1.0.0', seed).run;
    if (test !== null) await runs.appendEvents(id, [{ at: 1, type: 'testEvaluated', ...test }]);
    return id;
  };
  return { commands, train, cache };
}

let studio: Awaited<ReturnType<typeof page>>;
const { output } = sourceOf('v1.0.0', 1);
const save = async (version: string, runId: string) =>
  studio.commands.createVersion({ runId, version, notes: `About ${version}.`, output });
beforeEach(async () => {
  studio = await page();
});

it('a run becomes a version that says what it is', async () => {
  const { commands, train } = studio;
  await expect(save('v1.0.0', 'no such run')).rejects.toMatchObject({ name: 'NoCheckpointError' });
  const runId = await train(1);
  expect(await save('1.0.0', runId)).toMatchObject({
    version: 'v1.0.0',
    modelName: 'PacerIDClassifier',
    test: { n: 4 },
  });
  await expect(save('v1.0.0', runId)).rejects.toMatchObject({ name: 'VersionExistsError' });
  expect((await commands.version({ version: 'v1.0.0' })).config).toMatch(/^ +version: 1\.0\.0$/m);
  // The next number is for the run that is asked about, else for the newest.
  const suggested = async (id: string | null) => (await commands.versions({ runId: id })).suggested;
  expect(await suggested(null)).toBe('v1.0.1');
  const other = await train(2, ['BIO Alder', 'MDT Cedar', 'New Oak', 'SJM Elm']);
  expect(await suggested(null)).toBe('v1.1.0');
  expect(await suggested(other)).toBe('v1.1.0');
  expect(await suggested(runId)).toBe('v1.0.1');
});

it('its weights become a file to start from, under its name, with its labels', async () => {
  const { commands, train } = studio;
  await save('v1.0.0', await train(1));
  expect(await commands.keepVersionWeights({ version: 'v1.0.0' })).toMatchObject({
    name: 'v1.0.0',
    architecture: 'tiny',
    classes: 3,
    labels: ['BIO Alder', 'MDT Cedar', 'SJM Elm'],
  });
});

it('syncs into a picked folder what the zip holds, as another library reads it', async () => {
  const { commands, train } = studio;
  await save('v1.0.0', await train(1));
  await save('v1.1.0', await train(2, ['BIO Alder', 'MDT Cedar', 'New Oak']));
  const [picked, unzipped] = [await temporaryFolder(), await temporaryFolder()];
  const sync = (version: string, dryRun: boolean) =>
    commands.syncVersion({
      version,
      folder: handleOf(picked),
      modelsDir: 'models',
      iosDir: 'app/Models',
      dryRun,
      unproven: false,
    });
  const promised = await sync('v1.1.0', true);
  expect(await treeOf(picked)).toEqual({});
  expect((await commands.versions({ runId: null })).current).toBeNull();
  expect(await sync('v1.1.0', false)).toEqual(promised);
  expect((await commands.versions({ runId: null })).current).toBe('v1.1.0');

  const { blob, fileName } = await commands.versionsZip({ version: 'v1.1.0', iosDir: 'app/Models' });
  expect(fileName).toBe('models-v1.1.0.zip');
  // Written with jszip.
  for (const entry of await new ZipReader(new BlobReader(blob)).getEntries()) {
    if (entry.directory) continue;
    const path = join(unzipped, entry.filename);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, await entry.getData(new Uint8ArrayWriter(), { checkCrc32: true }));
  }
  expect(await treeOf(unzipped)).toEqual(await treeOf(picked));
  await run('sha256sum', ['-c', '--strict', '--quiet', 'SHA256SUMS'], {
    cwd: join(unzipped, 'models/versions/v1.1.0'),
  });
});

it('takes over what a folder has and this page lacks, whole ones only', async () => {
  const { commands, train } = studio;
  await save('v1.0.0', await train(1));
  await save('v1.1.0', await train(2));
  const folder = await temporaryFolder();
  const sync = (version: string) =>
    commands.syncVersion({
      version,
      folder: handleOf(folder),
      modelsDir: 'models',
      iosDir: 'ios',
      dryRun: false,
      unproven: false,
    });
  await sync('v1.0.0');
  await sync('v1.1.0');

  const other = (await page()).commands;
  const take = () => other.importVersions({ folder: handleOf(folder), modelsDir: 'models' });
  const spoiled = join(folder, 'models/versions/v1.0.0/weights.safetensors');
  const whole = await readFile(spoiled);
  await writeFile(spoiled, whole.subarray(1));
  await expect(take()).rejects.toMatchObject({
    name: 'DamagedVersionError',
    kept: expect.stringContaining('v1.1.0 was taken over') as unknown,
  });
  await writeFile(spoiled, whole);
  expect(await take()).toEqual(['v1.0.0']);
  expect(await take()).toEqual([]);
  const { versions, current } = await other.versions({ runId: null });
  expect(versions.map(({ version, notes }) => [version, notes])).toEqual([
    ['v1.1.0', 'About v1.1.0.'],
    ['v1.0.0', 'About v1.0.0.'],
  ]);
  expect(current).toBe('v1.1.0');
});

it('a version that failed, or could not be compared, is made, says so, and is synced only where that is asked for', async () => {
  const flip = 'One answer is another one.';
  const failing: Check = (exported, labels) => Promise.resolve(proofOf(exported, labels, [flip]));
  const missing: Check = () => Promise.reject(new CertificateImagesMissingError('devices'));
  for (const [check, says] of [
    [failing, flip],
    [missing, 'The data set “devices”'],
  ] as const) {
    const { commands, train } = await page(check);
    const made = await commands.createVersion({ runId: await train(1), version: 'v1.0.0', notes: '', output });
    expect(made.uncertified + (made.certificate?.failures.join() ?? '')).toContain(says);
    const folder = await temporaryFolder();
    const sync = (unproven: boolean) =>
      commands.syncVersion({
        version: 'v1.0.0',
        folder: handleOf(folder),
        modelsDir: 'models',
        iosDir: 'ios',
        dryRun: false,
        unproven,
      });
    await expect(sync(false)).rejects.toMatchObject({
      name: 'UnprovenVersionError',
      message: expect.stringContaining(says) as unknown,
    });
    expect(await treeOf(folder)).toEqual({});
    expect((await commands.versions({ runId: null })).current).toBeNull();
    await sync(true);
    expect((await commands.versions({ runId: null })).current).toBe('v1.0.0');
    expect((await commands.versionsZip({ version: 'v1.0.0', iosDir: 'ios' })).fileName).toBe(
      'models-v1.0.0-unproven.zip',
    );
  }
});

it('a version whose comparison was cancelled, or broke, is not made', async () => {
  for (const error of [new CertificateCancelledError(), new TypeError('a mistake of ours')]) {
    const { commands, train } = await page(() => Promise.reject(error));
    const runId = await train(1);
    await expect(commands.createVersion({ runId, version: 'v1.0.0', notes: '', output })).rejects.toBe(error);
    expect((await commands.versions({ runId: null })).versions).toEqual([]);
  }
});
