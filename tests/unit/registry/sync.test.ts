import { cp, mkdir, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { nodeFolder } from '../../../src/platform/node/folder.ts';
import { hashBytes } from '../../../src/registry/checksums.ts';
import type { VersionContent } from '../../../src/registry/content.ts';
import { pathsUnder } from '../../../src/registry/paths.ts';
import { versionRegistry, type Registry } from '../../../src/registry/registry.ts';
import { syncVersion } from '../../../src/registry/sync.ts';
import type { Folder, SyncChange } from '../../../src/registry/types.ts';
import { contentOf, memoryFolder, stoppingFolder, temporaryFolder, treeOf } from './support.ts';

const PACKAGE = 'PacerIDClassifier.mlpackage';
let old: VersionContent;
let next: VersionContent;
let models: Registry;
beforeAll(async () => {
  old = await contentOf('v1.0.0', 1);
  next = await contentOf('v1.1.0', 2, ['BIO Alder', 'MDT Cedar', 'New Oak']);
  models = versionRegistry(memoryFolder().folder);
  await models.create(old, '');
  await models.create(next, 'Knows the oak.');
});

const packageOf = ({ files }: VersionContent): Record<string, string> =>
  Object.fromEntries(
    [...files]
      .filter(([path]) => path.startsWith(PACKAGE))
      .map(([path, bytes]) => [path.slice(PACKAGE.length + 1), hashBytes(bytes)])
      .sort(),
  ) as Record<string, string>;
const packageIn = async (folder: Folder, place = `ios/${PACKAGE}`): Promise<Record<string, string>> => {
  const rows = (await pathsUnder(folder, place)).map(async (path) => [
    path,
    hashBytes((await folder.read(`${place}/${path}`)) as Uint8Array),
  ]);
  return Object.fromEntries(await Promise.all(rows)) as Record<string, string>;
};
const actions = (changes: readonly SyncChange[]) => changes.map(({ action, path }) => `${action} ${path}`);
const target = (folder: Folder) => ({ folder, modelsDir: null, iosDir: 'ios' });
const now = { dryRun: false, unproven: true };

describe.each(['with renames', 'without renames'] as const)('a sync into a folder %s', (kind) => {
  const open = async () => {
    const root = await temporaryFolder();
    const { replaceFolder, ...plain } = nodeFolder(root);
    return { root, folder: kind === 'with renames' ? { ...plain, replaceFolder } : plain };
  };

  it('puts the package there, says so, and the second time changes nothing', async () => {
    const { root, folder } = await open();
    const changes = await syncVersion(models, 'v1.0.0', target(folder), now);
    expect(actions(changes)).toEqual([
      `create ios/${PACKAGE}/Data/com.apple.CoreML/model.mlmodel`,
      `create ios/${PACKAGE}/Data/com.apple.CoreML/weights/weight.bin`,
      `create ios/${PACKAGE}/Manifest.json`,
    ]);
    expect(await packageIn(folder)).toEqual(packageOf(old));
    expect(await folder.list('ios')).toEqual([`${PACKAGE}/`]);
    const manifest = join(root, 'ios', PACKAGE, 'Manifest.json');
    const { ino } = await stat(manifest);
    const again = await syncVersion(models, 'v1.0.0', target(folder), now);
    expect(new Set(again.map(({ action }) => action))).toEqual(new Set(['unchanged']));
    expect((await stat(manifest)).ino).toBe(ino);
  });

  it('takes an older package’s files away', async () => {
    const { root, folder } = await open();
    const stale = join(root, 'ios', PACKAGE, 'Data/com.apple.CoreML/weights/1-weight.bin');
    await mkdir(join(stale, '..'), { recursive: true });
    await writeFile(stale, 'old');
    await writeFile(join(root, 'ios', 'Other.mlpackage'), 'not ours');
    const changes = await syncVersion(models, 'v1.0.0', target(folder), now);
    expect(actions(changes)).toContain(`remove ios/${PACKAGE}/Data/com.apple.CoreML/weights/1-weight.bin`);
    expect(await packageIn(folder)).toEqual(packageOf(old));
    expect(await folder.list('ios')).toEqual(['Other.mlpackage', `${PACKAGE}/`]);
  });

  it('dry-run says the same as the sync then does, and changes nothing on disk', async () => {
    const { root, folder } = await open();
    await syncVersion(models, 'v1.0.0', target(folder), now);
    const whole = { ...target(folder), modelsDir: 'models' };
    const before = await treeOf(root);
    const promised = await syncVersion(models, 'v1.1.0', whole, { dryRun: true });
    expect(await treeOf(root)).toEqual(before);
    expect(await syncVersion(models, 'v1.1.0', whole, now)).toEqual(promised);
  });

  it('with the models folder too: version, notes and current are there, whole', async () => {
    const { root, folder } = await open();
    const whole = { ...target(folder), modelsDir: 'ml/models' };
    await syncVersion(models, 'v1.0.0', whole, now);
    const changes = await syncVersion(models, 'v1.1.0', whole, now);
    expect(changes.at(-1)).toEqual({
      action: 'replace',
      path: 'ml/models/current',
      bytes: 7,
      from: 'v1.0.0',
      to: 'v1.1.0',
    });
    const there = versionRegistry(nodeFolder(join(root, 'ml/models')));
    expect(await there.list()).toMatchObject({
      versions: [{ version: 'v1.1.0', notes: 'Knows the oak.' }, { version: 'v1.0.0' }],
      current: 'v1.1.0',
      damaged: [],
    });
    expect(await packageIn(folder)).toEqual(packageOf(next));
  });

  it('refuses where the folder has another version of this number', async () => {
    const { root, folder } = await open();
    await versionRegistry(nodeFolder(join(root, 'models'))).create(await contentOf('v1.0.0', 7), '');
    const before = await treeOf(root);
    await expect(syncVersion(models, 'v1.0.0', { ...target(folder), modelsDir: 'models' }, now)).rejects.toMatchObject({
      name: 'VersionExistsError',
    });
    expect(await treeOf(root)).toEqual(before);
  });

  it('mends a version of the folder that was spoiled there', async () => {
    const { root, folder } = await open();
    const whole = { ...target(folder), modelsDir: 'models' };
    await syncVersion(models, 'v1.0.0', whole, now);
    const before = await treeOf(root);
    await writeFile(join(root, 'models/versions/v1.0.0/labels.txt'), 'spoiled');
    const changes = await syncVersion(models, 'v1.0.0', whole, now);
    expect(actions(changes).filter((row) => !row.startsWith('unchanged'))).toEqual([
      'replace models/versions/v1.0.0/labels.txt',
    ]);
    expect(await treeOf(root)).toEqual(before);
  });

  it('does not leave the folder that was picked', async () => {
    const { root, folder } = await open();
    for (const iosDir of ['../elsewhere', '/etc', 'C:\\app', 'a/../../b']) {
      await expect(syncVersion(models, 'v1.0.0', { ...target(folder), iosDir }, now)).rejects.toMatchObject({
        name: 'OutsideFolderError',
      });
    }
    expect(await treeOf(root)).toEqual({});
  });
});

describe.each([
  { renames: true, backwards: false },
  { renames: false, backwards: false },
  { renames: false, backwards: true },
])('a kill at any moment of a sync ($renames, $backwards)', (options) => {
  it('leaves the old package, the new one, or one without a manifest; the next sync finishes', async () => {
    const seen = new Set<string>();
    for (let k = 0; ; k++) {
      const { folder: memory } = memoryFolder();
      const base: Folder = options.renames ? { ...memory, replaceFolder: renaming(memory) } : memory;
      const whole = { ...target(base), modelsDir: 'models' };
      await syncVersion(models, 'v1.0.0', whole, now);
      await base.write(`ios/${PACKAGE}/Data/stale.bin`, Uint8Array.of(1));
      const before = await packageIn(base);
      const { folder } = stoppingFolder(base, k, options);
      const ended = await syncVersion(models, 'v1.1.0', { ...whole, folder }, now).then(
        () => true,
        () => false,
      );
      const found = await packageIn(base);
      const text = JSON.stringify(found);
      if (text === JSON.stringify(before)) seen.add('old');
      else if (text === JSON.stringify(packageOf(next))) seen.add('new');
      else {
        seen.add('invalid');
        expect(options.renames).toBe(false);
        expect(found).not.toHaveProperty('Manifest.json');
      }
      const there = versionRegistry({
        ...base,
        list: (path) => base.list(`models/${path}`),
        read: (path) => base.read(`models/${path}`),
      });
      const { versions, current } = await there.list();
      expect(versions.map(({ version }) => version)).toContain('v1.0.0');
      expect(versions.map(({ version }) => version)).toContain(current);
      if (current === 'v1.1.0') expect(found).toEqual(packageOf(next));
      await syncVersion(models, 'v1.1.0', whole, now);
      expect(await packageIn(base)).toEqual(packageOf(next));
      expect(await base.list('ios')).toEqual([`${PACKAGE}/`]);
      if (ended) break;
    }
    expect([...seen]).toEqual(options.renames ? ['old', 'new'] : ['old', 'invalid', 'new']);
  });
});

/** Replaces a folder in one go, as far as anybody sees. */
function renaming(folder: Folder): (from: string, to: string) => Promise<void> {
  return async (from, to) => {
    const files = await Promise.all(
      (await pathsUnder(folder, from)).map(async (path) => [path, await folder.read(`${from}/${path}`)] as const),
    );
    await folder.remove(to);
    for (const [path, bytes] of files) await folder.write(`${to}/${path}`, bytes as Uint8Array<ArrayBuffer>);
    await folder.remove(from);
  };
}

describe('replacing a folder on disk', () => {
  const sync = (folder: Folder, version: string) => syncVersion(models, version, target(folder), now);
  const start = async () => {
    const root = await temporaryFolder();
    const folder = nodeFolder(root);
    await sync(folder, 'v1.0.0');
    return { root, folder, ios: join(root, 'ios') };
  };

  it('killed after the old one went aside: the next command finishes, nothing is left over', async () => {
    const { folder, ios } = await start();
    await rename(join(ios, PACKAGE), join(ios, `.${PACKAGE}.old`));
    await mkdir(join(ios, `.${PACKAGE}.new`));
    await writeFile(join(ios, `.${PACKAGE}.new`, 'half'), '');
    await sync(folder, 'v1.1.0');
    expect(await packageIn(folder)).toEqual(packageOf(next));
    expect(await folder.list('ios')).toEqual([`${PACKAGE}/`]);
  });

  it('killed before the old one was cleared away: the same version again clears it', async () => {
    const { folder, ios } = await start();
    await cp(join(ios, PACKAGE), join(ios, `.${PACKAGE}.old`), { recursive: true });
    await sync(folder, 'v1.0.0');
    expect(await folder.list('ios')).toEqual([`${PACKAGE}/`]);
  });

  it('a new one that can’t be put in place leaves the old one there', async () => {
    const { folder } = await start();
    await expect(folder.replaceFolder('ios/none', `ios/${PACKAGE}`)).rejects.toThrow();
    expect(await packageIn(folder)).toEqual(packageOf(old));
  });

  it('a link in its place is replaced, what it points to stays', async () => {
    const { root, folder, ios } = await start();
    await rename(join(ios, PACKAGE), join(root, 'elsewhere'));
    await symlink(join(root, 'elsewhere'), join(ios, PACKAGE));
    await sync(folder, 'v1.1.0');
    expect(await packageIn(folder)).toEqual(packageOf(next));
    expect(await packageIn(folder, 'elsewhere')).toEqual(packageOf(old));
  });

  it('a folder that may not be written says which', async () => {
    const root = await temporaryFolder();
    await writeFile(join(root, 'ios'), 'a file');
    await expect(sync(nodeFolder(root), 'v1.0.0')).rejects.toMatchObject({ name: 'NotWritableError' });
  });
});
