import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fromBinary } from '@bufbuild/protobuf';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ModelSchema } from '../../../src/export/coreml/generated/Model_pb.ts';
import { nodeFolder } from '../../../src/platform/node/folder.ts';
import { hashBytes } from '../../../src/registry/checksums.ts';
import { versionContent, type VersionContent } from '../../../src/registry/content.ts';
import { importVersions } from '../../../src/registry/import.ts';
import { compareVersions, versionOf } from '../../../src/registry/number.ts';
import { versionRegistry } from '../../../src/registry/registry.ts';
import { readSafetensors } from '../../../src/weights/safetensors.ts';
import { contentOf, Killed, memoryFolder, sourceOf, stoppingFolder, temporaryFolder, treeOf } from './support.ts';

const run = promisify(execFile);
const sha256sum = (folder: string) => run('sha256sum', ['-c', '--strict', '--quiet', 'SHA256SUMS'], { cwd: folder });

let first: VersionContent;
let second: VersionContent;
beforeAll(async () => {
  first = await contentOf('v1.0.0', 1);
  second = await contentOf('v1.1.0', 2, ['BIO Alder', 'MDT Cedar', 'New Oak', 'SJM Elm']);
});

async function onDisk() {
  const models = await temporaryFolder();
  const folder = nodeFolder(models);
  return { models, registry: versionRegistry(folder), folder, at: join(models, 'versions', 'v1.0.0') };
}

describe('a version on disk', () => {
  it('has the files that were promised, and sha256sum accepts them', async () => {
    const { at, registry, models } = await onDisk();
    await registry.create(first, 'The first one.\n');
    expect(Object.keys(await treeOf(models))).toEqual([
      'versions/v1.0.0/PacerIDClassifier.mlpackage/Data/com.apple.CoreML/model.mlmodel',
      'versions/v1.0.0/PacerIDClassifier.mlpackage/Data/com.apple.CoreML/weights/weight.bin',
      'versions/v1.0.0/PacerIDClassifier.mlpackage/Manifest.json',
      'versions/v1.0.0/SHA256SUMS',
      'versions/v1.0.0/config.yaml',
      'versions/v1.0.0/labels.txt',
      'versions/v1.0.0/metrics.json',
      'versions/v1.0.0/notes.md',
      'versions/v1.0.0/version.json',
      'versions/v1.0.0/weights.safetensors',
    ]);
    await sha256sum(at);
    // All but itself and the notes.
    expect((await readFile(join(at, 'SHA256SUMS'), 'utf8')).trim().split('\n')).toHaveLength(8);
  });

  it('says the same everywhere: labels, number, configuration, metrics, weights', async () => {
    const { at, registry } = await onDisk();
    await registry.create(first, '');
    const file = (name: string) => readFile(join(at, name));
    const model = fromBinary(
      ModelSchema,
      await file('PacerIDClassifier.mlpackage/Data/com.apple.CoreML/model.mlmodel'),
    );
    expect(model.description?.metadata?.versionString).toBe('1.0.0');
    expect(model.description?.metadata?.author).toBe('A. Nother');
    expect(model.description?.metadata?.userDefined['pacerid.test_accuracy']).toBe('0.75');
    expect(String(await file('labels.txt'))).toBe('BIO Alder\nMDT Cedar\nSJM Elm\n');
    const { output, training } = parse(String(await file('config.yaml'))) as Record<string, Record<string, unknown>>;
    expect([output?.version, output?.model_name, training?.seed]).toEqual(['1.0.0', 'PacerIDClassifier', 1]);
    const metrics = JSON.parse(String(await file('metrics.json'))) as Record<string, unknown>;
    expect(metrics).toMatchObject({
      test: { accuracy: 0.75, loss: 0.5, n: 4 },
      validation: { accuracy: 0.5, loss: 1 },
      epoch: 2,
      seed: 1,
      dataset: { name: 'devices', hash: 'abc' },
      adapter: null,
    });
    expect(metrics.epochs).toHaveLength(2);
    const { tensors, metadata } = readSafetensors(await file('weights.safetensors'));
    expect(JSON.parse(metadata.classes ?? '')).toEqual(['BIO Alder', 'MDT Cedar', 'SJM Elm']);
    const { weights } = sourceOf('v1.0.0', 1).checkpoint;
    expect([...tensors.keys()]).toEqual([...weights.keys()]);
    for (const [name, { data }] of weights) expect(tensors.get(name)?.data).toEqual(data);
    expect(await registry.list()).toMatchObject({
      versions: [{ version: 'v1.0.0', startedFrom: 'a random start', epoch: 2, certificate: null, notes: '' }],
      damaged: [],
      current: null,
      suggested: 'v1.0.1',
    });
  });

  it('is the same bytes for the same source', async () => {
    const again = await contentOf('v1.0.0', 1);
    const hashes = (content: VersionContent) => [...content.files].map(([path, bytes]) => [path, hashBytes(bytes)]);
    expect(hashes(again)).toEqual(hashes(first));
  });

  it('a Test report of other weights than the checkpoint’s is no figure of the version', async () => {
    const source = sourceOf('v1.0.0', 1);
    const test = source.run.test && { ...source.run.test, epoch: 1 };
    const { record } = await versionContent({
      ...source,
      run: { ...source.run, test },
    });
    expect(record.test).toBeNull();
  });

  it('of a run whose validation loss was no number is whole, and says so', async () => {
    const { registry, folder } = await onDisk();
    const source = sourceOf('v1.0.0', 1);
    const history = source.checkpoint.history.map((row) => ({
      ...row,
      validation: row.validation && { ...row.validation, loss: NaN },
    }));
    const sick = { ...source.checkpoint, history };
    expect(history.find(({ epoch }) => epoch === sick.epoch)?.validation?.loss).toBeNaN();
    await registry.create(await versionContent({ ...source, checkpoint: sick }), '');
    expect((await registry.read('v1.0.0')).validation?.loss).toBeNaN();
    expect((await versionRegistry(folder).list()).versions[0]?.validation?.loss).toBeNaN();
  });

  it('opens when its checksums were written by sha256sum itself', async () => {
    const { at, registry } = await onDisk();
    await registry.create(first, '');
    await run(
      'sh',
      ['-c', 'rm SHA256SUMS; find * -type f | sort -r | xargs sha256sum > ../sums; mv ../sums SHA256SUMS'],
      {
        cwd: at,
      },
    );
    expect((await registry.read('1.0.0')).files).toHaveLength(9);
  });

  it('has names that every file system takes', () => {
    for (const path of first.files.keys()) {
      for (const name of path.split('/')) {
        expect(name).toMatch(/^[\w.-]*\w$/);
        expect(name).not.toMatch(/^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i);
      }
    }
  });

  it('details carry hashes that Node agrees with', async () => {
    const { at, registry } = await onDisk();
    await registry.create(first, '');
    for (const { path, bytes, sha256 } of (await registry.read('v1.0.0')).files) {
      const content = await readFile(join(at, path));
      expect([bytes, sha256]).toEqual([content.length, createHash('sha256').update(content).digest('hex')]);
    }
  });
});

describe('a version never changes', () => {
  it('is not written twice, and the refusal names the next number', async () => {
    const { models, registry } = await onDisk();
    await registry.create(first, '');
    const before = await treeOf(models);
    await expect(registry.create(await contentOf('v1.0.0', 3), '')).rejects.toMatchObject({
      name: 'VersionExistsError',
      remedy: expect.stringContaining('v1.0.1') as unknown,
    });
    expect(await treeOf(models)).toEqual(before);
  });

  it('its notes may, and its checksums stand', async () => {
    const { at, registry } = await onDisk();
    await registry.create(first, 'a');
    await registry.setNotes('v1.0.0', 'Sent to the app on Monday.');
    await sha256sum(at);
    expect((await registry.read('v1.0.0')).notes).toBe('Sent to the app on Monday.');
    await registry.setNotes('v1.0.0', '');
    expect((await registry.read('v1.0.0')).notes).toBe('');
  });

  it('each single file with one byte changed is found out, by us as by sha256sum', async () => {
    const { at, models, registry } = await onDisk();
    await registry.create(first, '');
    for (const path of first.files.keys()) {
      const whole = await readFile(join(at, path));
      const spoiled = Buffer.from(whole);
      spoiled[whole.length >> 1] = (spoiled[whole.length >> 1] as number) ^ 1;
      await writeFile(join(at, path), spoiled);
      // Another session: this one may remember what it saw whole.
      const { versions, damaged } = await versionRegistry(nodeFolder(models)).list();
      expect([versions, damaged]).toEqual([[], [{ version: 'v1.0.0', reason: `${path} was changed since` }]]);
      await expect(registry.read('v1.0.0')).rejects.toThrow('damaged');
      await expect(sha256sum(at)).rejects.toMatchObject({ code: 1 });
      await writeFile(join(at, path), whole);
    }
    expect((await versionRegistry(nodeFolder(models)).list()).damaged).toEqual([]);
  });

  it('missing files, foreign lines, paths that lead out and a renamed folder are damage with a reason', async () => {
    const { at, models, registry } = await onDisk();
    const damage = async () => (await versionRegistry(nodeFolder(models)).list()).damaged[0]?.reason;
    await registry.create(first, '');
    const sums = await readFile(join(at, 'SHA256SUMS'), 'utf8');
    await writeFile(join(at, 'SHA256SUMS'), `${sums}garbage\n`);
    expect(await damage()).toBe('SHA256SUMS has a line that is no checksum');
    await writeFile(join(at, 'SHA256SUMS'), sums.replace('  labels.txt', '  ../../../secret'));
    expect(await damage()).toBe('SHA256SUMS names ../../../secret, which lies elsewhere');
    // Sums that hold, of a folder that lacks a part: a sync would empty the app's package.
    await writeFile(join(at, 'SHA256SUMS'), sums.replace(/.*Manifest\.json\n/, ''));
    expect(await damage()).toBe('PacerIDClassifier.mlpackage/Manifest.json is not among its files');
    // As a checkout on Windows may leave it.
    await writeFile(join(at, 'SHA256SUMS'), sums.replaceAll('\n', '\r\n'));
    expect(await damage()).toBeUndefined();
    await rm(join(at, 'labels.txt'));
    expect(await damage()).toBe('labels.txt is missing');
    await writeFile(join(at, 'labels.txt'), first.files.get('labels.txt') as Uint8Array);
    await rename(at, join(models, 'versions', 'v3.0.0'));
    expect(await damage()).toBe('it says of itself that it is v1.0.0');
  });
});

describe('a version that newer code saved', () => {
  it('is told from a damaged one, takes its number, and is neither used nor changed nor removed', async () => {
    const { models, registry } = await onDisk();
    await registry.create(first, '');
    const place = join(models, 'versions/v3.0.0');
    await mkdir(place, { recursive: true });
    await writeFile(
      join(place, 'version.json'),
      JSON.stringify({ schema: 3, version: 'v3.0.0', parts: ['model.bin'] }),
    );
    await writeFile(join(place, 'SHA256SUMS'), 'in another form');
    await writeFile(join(models, 'current'), 'v3.0.0\n');
    const before = await treeOf(place);
    const listing = await versionRegistry(nodeFolder(models)).list();
    expect(listing).toMatchObject({ damaged: [], newer: ['v3.0.0'], current: 'v3.0.0', suggested: 'v3.0.1' });
    expect(listing.versions.map(({ version }) => version)).toEqual(['v1.0.0']);
    expect(await registry.newer()).toEqual(['v3.0.0']);
    for (const refused of [
      () => registry.open('v3.0.0'),
      () => registry.diff('v1.0.0', 'v3.0.0'),
      () => registry.setCurrent('v3.0.0'),
      () => registry.setNotes('v3.0.0', 'mine'),
      () => registry.remove('v3.0.0'),
    ])
      await expect(refused()).rejects.toMatchObject({ name: 'NewerVersionError' });
    await expect(registry.create({ ...first, record: { ...first.record, version: 'v3.0.0' } }, '')).rejects.toThrow(
      'already',
    );
    // Beside it, ours may be the last one that goes.
    await registry.setCurrent('v1.0.0');
    await registry.remove('v1.0.0');
    expect(await treeOf(place)).toEqual(before);
  });

  it('is said where versions are taken over, once the others are in', async () => {
    const { models, registry } = await onDisk();
    await registry.create(first, '');
    await mkdir(join(models, 'versions/v3.0.0'), { recursive: true });
    await writeFile(join(models, 'versions/v3.0.0/version.json'), '{"schema":3}');
    const { folder } = memoryFolder();
    const into = versionRegistry(folder);
    await expect(importVersions(registry, into)).rejects.toMatchObject({
      name: 'NewerVersionError',
      kept: expect.stringMatching(/^v1\.0\.0 was taken over\. It was left as it is/) as string,
    });
    expect((await into.list()).versions).toHaveLength(1);
  });
});

describe('numbers', () => {
  it('are three numbers, with or without the v', () => {
    expect(['1.2.0', 'v1.2.0', ' v10.0.3 '].map(versionOf)).toEqual(['v1.2.0', 'v1.2.0', 'v10.0.3']);
    for (const wrong of [
      '',
      'v1',
      '1.2',
      'v1.2.3.4',
      'v1.2.x',
      'v01.2.3',
      '1.2.0-rc1',
      'latest',
      '../v1.0.0',
      'vv1.0.0',
    ]) {
      expect(() => versionOf(wrong)).toThrow('is no version number');
    }
  });

  it('sort as numbers', () => {
    const numbers = ['v1.10.0', 'v2.0.0', 'v1.9.9', 'v1.9.10', 'v0.0.1'];
    expect(numbers.sort(compareVersions)).toEqual(['v0.0.1', 'v1.9.9', 'v1.9.10', 'v1.10.0', 'v2.0.0']);
  });

  it('the next is a minor one for other labels or another architecture, else a patch', async () => {
    const { registry, models } = await onDisk();
    expect((await registry.list()).suggested).toBe('v1.0.0');
    await registry.create(first, '');
    const { architecture, labels } = first.record;
    const suggested = async (candidate: { architecture: string; labels: readonly string[] }) =>
      (await registry.list(candidate)).suggested;
    expect(await suggested({ architecture, labels })).toBe('v1.0.1');
    expect(await suggested({ architecture: 'resnet50', labels })).toBe('v1.1.0');
    expect(await suggested({ architecture, labels: labels.slice(1) })).toBe('v1.1.0');
    expect(await suggested({ architecture, labels: labels.toReversed() })).toBe('v1.1.0');
    // A number that a damaged version has is taken, one that was never finished isn't.
    await registry.create(second, '');
    await writeFile(join(models, 'versions/v1.1.0/labels.txt'), 'x');
    await mkdir(join(models, 'versions/v9.0.0'));
    expect((await versionRegistry(nodeFolder(models)).list({ architecture, labels })).suggested).toBe('v1.1.1');
  });
});

describe('current', () => {
  it('is a line of text, and goes back', async () => {
    const { models, registry } = await onDisk();
    await registry.create(first, '');
    await registry.create(second, '');
    await registry.setCurrent('1.1.0');
    expect(await readFile(join(models, 'current'), 'utf8')).toBe('v1.1.0\n');
    await registry.setCurrent('v1.0.0');
    expect((await registry.list()).current).toBe('v1.0.0');
    await expect(registry.setCurrent('v2.0.0')).rejects.toMatchObject({
      name: 'NoSuchVersionError',
      remedy: 'Choose one of v1.0.0, v1.1.0.',
    });
    await writeFile(join(models, 'current'), 'v1.1.0\r\n');
    expect(await registry.current()).toBe('v1.1.0');
  });

  it('a kill in the middle of its writing leaves nothing for good', async () => {
    const { models, registry } = await onDisk();
    await registry.create(first, '');
    // Of a process that has ended.
    const half = `${spawnSync(process.execPath, ['--version']).pid}-0badcafe.part`;
    await writeFile(join(models, `current.${half}`), 'v1.');
    await writeFile(join(models, 'current.mine.part'), 'not ours');
    await writeFile(join(models, `versions/v1.0.0/notes.md.${half}`), 'Kno');
    await registry.setCurrent('v1.0.0');
    await registry.setNotes('v1.0.0', 'Knows the oak.');
    expect(Object.keys(await treeOf(models)).filter((path) => path.includes(half))).toEqual([]);
    expect(Object.keys(await treeOf(models)).filter((path) => !path.startsWith('versions/'))).toEqual([
      'current',
      'current.mine.part',
    ]);
  });

  it('never names a damaged version', async () => {
    const { at, models, registry } = await onDisk();
    await registry.create(first, '');
    await writeFile(join(at, 'config.yaml'), '');
    await expect(registry.setCurrent('v1.0.0')).rejects.toMatchObject({ name: 'DamagedVersionError' });
    expect(Object.keys(await treeOf(models))).not.toContain('current');
  });

  it('cannot be removed before the others', async () => {
    const { models, registry } = await onDisk();
    await registry.create(first, '');
    await registry.create(second, '');
    await registry.setCurrent('v1.0.0');
    await expect(registry.remove('v1.0.0')).rejects.toMatchObject({ name: 'CurrentVersionError' });
    await registry.remove('v1.1.0');
    await registry.remove('v1.0.0');
    expect(await treeOf(models)).toEqual({});
    await expect(registry.remove('v1.0.0')).rejects.toMatchObject({ name: 'NoSuchVersionError' });
  });
});

describe('two versions', () => {
  it('differ in labels and in settings, by path', async () => {
    const { registry } = await onDisk();
    await registry.create(first, '');
    await registry.create(second, '');
    expect(await registry.diff('v1.0.0', 'v1.1.0')).toEqual({
      a: first.record,
      b: second.record,
      labelsAdded: ['New Oak'],
      labelsRemoved: [],
      testSets: '',
      settings: [{ path: 'training.seed', a: '1', b: '2' }],
    });
  });
});

describe.each(['forwards', 'backwards'] as const)('a kill at any moment (folders removed %s)', (order) => {
  const backwards = order === 'backwards';

  it('of a creation leaves no version or a whole one, and the next creation finishes', async () => {
    for (let k = 0; ; k++) {
      const { folder: memory } = memoryFolder();
      // What an earlier kill left.
      await memory.write('versions/v1.0.0/labels.txt', Uint8Array.of(1));
      await memory.write('versions/v1.0.0/Old.mlpackage/Manifest.json', Uint8Array.of(2));
      const { folder } = stoppingFolder(memory, k, { backwards });
      const ended = await versionRegistry(folder)
        .create(first, 'notes')
        .then(
          () => true,
          (error: unknown) => (expect(error).toBeInstanceOf(Killed), false),
        );
      const { versions, damaged } = await versionRegistry(memory).list();
      expect([versions.length, damaged.length]).toEqual(
        ended ? [1, 0] : versions.length === 1 ? [1, 0] : [0, damaged.length],
      );
      if (!ended) await versionRegistry(memory).create(first, 'notes');
      expect(await memory.read('versions/v1.0.0/Old.mlpackage/Manifest.json')).toBeUndefined();
      expect((await versionRegistry(memory).read('v1.0.0')).notes).toBe('notes');
      if (ended) {
        expect(k).toBeGreaterThan(10);
        break;
      }
    }
  });

  it('of a removal leaves a whole version or none', async () => {
    for (let k = 0; ; k++) {
      const { folder: memory } = memoryFolder();
      await versionRegistry(memory).create(first, '');
      const { folder } = stoppingFolder(memory, k, { backwards });
      const ended = await versionRegistry(folder)
        .remove('v1.0.0')
        .then(
          () => true,
          () => false,
        );
      const { versions, damaged } = await versionRegistry(memory).list();
      if (versions.length === 0)
        expect(damaged.map(({ reason }) => reason).join()).toMatch(/^(it was never written.*)?$/);
      else expect(k).toBe(0);
      if (ended) break;
    }
  });
});

it('what lies beside versions is none of ours', async () => {
  const { models, registry, at } = await onDisk();
  await registry.create(first, '');
  await cp(at, join(models, 'versions', 'v1.0.0 copy'), { recursive: true });
  await writeFile(join(models, 'versions', 'v2.0.0'), 'a file');
  await writeFile(join(at, '.DS_Store'), 'Finder');
  await writeFile(join(at, 'labels.txt.0badcafe.part'), 'half');
  expect(await versionRegistry(nodeFolder(models)).list()).toMatchObject({
    versions: [{ version: 'v1.0.0' }],
    damaged: [],
  });
});
