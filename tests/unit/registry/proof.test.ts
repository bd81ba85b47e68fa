import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { zipPackage } from '../../../src/export/coreml/package.ts';
import { nodeFolder } from '../../../src/platform/node/folder.ts';
import { versionContent, type VersionContent } from '../../../src/registry/content.ts';
import { importVersions } from '../../../src/registry/import.ts';
import { proofProblem, type Proof } from '../../../src/registry/proof.ts';
import { versionRegistry } from '../../../src/registry/registry.ts';
import { syncVersion } from '../../../src/registry/sync.ts';
import { versionsZip } from '../../../src/registry/zip.ts';
import type { VersionRecord } from '../../../src/registry/types.ts';
import { memoryFolder, proofOf, sourceOf, temporaryFolder, treeOf } from './support.ts';

const run = promisify(execFile);
const labels = ['BIO Alder', 'MDT Cedar', 'SJM Elm'];
const flip = 'Another class is the most probable one on image 2.';

async function contentWith(version: string, seed: number, failures: readonly string[] = []): Promise<VersionContent> {
  return versionContent({
    ...sourceOf(version, seed, labels),
    certify: (exported): Promise<Proof> => Promise.resolve(proofOf(exported, labels, failures)),
  });
}

let passed: VersionContent;
let failed: VersionContent;
beforeAll(async () => {
  passed = await contentWith('v1.0.0', 1);
  failed = await contentWith('v1.0.1', 2, [flip]);
});

async function onDisk() {
  const models = await temporaryFolder();
  const registry = versionRegistry(nodeFolder(models));
  await registry.create(passed, '');
  await registry.create(failed, '');
  return { models, registry, at: (version: string) => join(models, 'versions', version) };
}
/** Makes the checksums anew, as somebody does who knows what they are for. */
const sumAgain = (at: string) =>
  run('sh', ['-c', "find * -type f ! -name SHA256SUMS | sort | xargs -d '\\n' sha256sum > SHA256SUMS"], { cwd: at });
/** What a certificate is bound to, by GNU's tools. */
const bound =
  "grep -E '  (PacerIDClassifier\\.mlpackage/|certificate\\.json$|golden\\.json$)' SHA256SUMS | LC_ALL=C sort -k2 | sha256sum";
/** Another session: it has seen nothing yet. */
const recordIn = async (models: string, version: string): Promise<VersionRecord | undefined> =>
  (await versionRegistry(nodeFolder(models)).list()).versions.find((one) => one.version === version);

describe('a certificate', () => {
  it('lies beside the package, checksums and all, and the record says what it says', async () => {
    const { registry, at } = await onDisk();
    await run('sha256sum', ['-c', '--strict', '--quiet', 'SHA256SUMS'], { cwd: at('v1.0.0') });
    const file = async (name: string) =>
      JSON.parse(await readFile(join(at('v1.0.0'), name), 'utf8')) as Record<string, unknown>;
    const { files, certificate, uncertified } = await registry.read('v1.0.0');
    expect(files.map(({ path }) => path)).toEqual(expect.arrayContaining(['certificate.json', 'golden.json']));
    const whole = await file('certificate.json');
    expect(whole).toMatchObject({ schema: 1, passed: true, images: 2, labels, maxDifference: 0.0012 });
    expect(certificate).toMatchObject({
      passed: true,
      images: 2,
      flips: 0,
      maxDifference: 0.0012,
      meanDifference: 0.0002,
      right: { trained: 2, exported: 2 },
      sha256: whole.sha256,
      thresholds: { maxDifference: 0.005, maxFlips: 0 },
    });
    expect(uncertified).toBe('');
    expect(proofProblem({ certificate, uncertified })).toBeNull();
  });

  it('is bound to the files by what GNU’s tools compute of SHA256SUMS', async () => {
    const { registry, at } = await onDisk();
    const { stdout } = await run('sh', ['-c', bound], { cwd: at('v1.0.0') });
    expect((await registry.read('v1.0.0')).certificate?.content).toBe(stdout.split(' ')[0]);
  });

  it('names images by their pixels alone, and keeps what each said of them', async () => {
    const { at } = await onDisk();
    const text = await readFile(join(at('v1.0.0'), 'golden.json'), 'utf8');
    expect(text).not.toContain('Jane Doe');
    const { images } = JSON.parse(text) as { images: { label: string; pixels: string; trained: number[] }[] };
    expect(images.map(({ label, pixels }) => [label, pixels])).toEqual(
      [0, 1].map((label) => [
        labels[label],
        createHash('sha256')
          .update(Uint8Array.of(1, 2, label))
          .digest('hex'),
      ]),
    );
    expect(Float32Array.from(images[0]?.trained ?? [])).toEqual(Float32Array.of(0.1, 0.7, 0.2));
  });

  it('that failed, or is missing, is told with its reason', async () => {
    const { registry } = await onDisk();
    expect(proofProblem(await registry.read('v1.0.1'))).toBe(`Its certificate failed. ${flip}`);
    const none = await versionContent(sourceOf('v2.0.0', 3));
    await registry.create(none, '');
    for (const [path, bytes] of failed.files) expect(new TextDecoder().decode(bytes), path).not.toContain('Jane Doe');
    expect([...none.files.keys()]).not.toContain('certificate.json');
    expect(proofProblem(await registry.read('v2.0.0'))).toBe('There were no images.');
  });

  it('whose differences are no numbers is a failed one, not damage', async () => {
    const { registry, models } = await onDisk();
    const content = await versionContent({
      ...sourceOf('v3.0.0', 4, labels),
      certify: (exported) => {
        const { certificate, goldens } = proofOf(exported, labels, ['A probability is no number.']);
        return Promise.resolve({ certificate: { ...certificate, maxDifference: NaN }, goldens });
      },
    });
    await registry.create(content, '');
    expect(await recordIn(models, 'v3.0.0')).toMatchObject({ certificate: { passed: false, maxDifference: NaN } });
  });
});

describe('a certificate of another package', () => {
  it('counts for nothing, though all checksums hold', async () => {
    const { models, at } = await onDisk();
    const weight = join(at('v1.0.0'), 'PacerIDClassifier.mlpackage/Data/com.apple.CoreML/weights/weight.bin');
    const bytes = await readFile(weight);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
    await writeFile(weight, bytes);
    await sumAgain(at('v1.0.0'));
    const other = await recordIn(models, 'v1.0.0');
    expect(other).toMatchObject({ certificate: null });
    expect(proofProblem(other as VersionRecord)).toMatch(/^Its certificate is of another package/);
    // Looked at again by the same session, which reads no file twice; and what it says when it is opened.
    const registry = versionRegistry(nodeFolder(models));
    await registry.list();
    expect((await registry.list()).versions.at(-1)).toMatchObject({ version: 'v1.0.0', certificate: null });
    expect((await registry.open('v1.0.0')).record.certificate).toBeNull();
  });

  it('nor does a better one that was put in its place', async () => {
    const { models, at } = await onDisk();
    await cp(join(at('v1.0.0'), 'certificate.json'), join(at('v1.0.1'), 'certificate.json'));
    await sumAgain(at('v1.0.1'));
    expect((await recordIn(models, 'v1.0.1'))?.uncertified).toMatch(/another package/);
  });

  it('is none from the beginning where it is of other bytes than those that were written', async () => {
    const content = await versionContent({
      ...sourceOf('v1.0.0', 1, labels),
      certify: ({ bytes, fileName }) => Promise.resolve(proofOf({ fileName, bytes: bytes.subarray(1) }, labels)),
    });
    expect(content.record.certificate).toBeNull();
    expect(proofProblem(content.record)).toMatch(/^Its certificate is of another package/);
    expect([...content.files.keys()]).not.toContain('certificate.json');
  });

  it('counts for nothing where the record was bound to the other package, too', async () => {
    const { models, at } = await onDisk();
    const here = at('v1.0.0');
    // The package that failed, under the certificate that passed; and all that GNU's tools can make right again is made right.
    await cp(join(at('v1.0.1'), 'PacerIDClassifier.mlpackage'), join(here, 'PacerIDClassifier.mlpackage'), {
      recursive: true,
    });
    await sumAgain(here);
    const { stdout } = await run('sh', ['-c', bound], { cwd: here });
    const record = JSON.parse(await readFile(join(here, 'version.json'), 'utf8')) as VersionRecord;
    const certificate = { ...record.certificate, content: stdout.split(' ')[0] };
    await writeFile(join(here, 'version.json'), JSON.stringify({ ...record, certificate }));
    await sumAgain(here);

    expect(await recordIn(models, 'v1.0.0')).toMatchObject({ certificate: null });
    const registry = versionRegistry(nodeFolder(models));
    expect(proofProblem(await registry.read('v1.0.0'))).toMatch(/^Its certificate is of another package/);
    expect((await versionsZip(registry, 'v1.0.0', 'ios')).fileName).toBe('models-v1.0.0-unproven.zip');
    const root = await temporaryFolder();
    const to = { folder: nodeFolder(root), modelsDir: null, iosDir: 'ios' };
    const anew = versionRegistry(nodeFolder(models));
    await expect(syncVersion(anew, 'v1.0.0', to, { dryRun: false })).rejects.toMatchObject({
      name: 'UnprovenVersionError',
      message: expect.stringContaining('of another package') as unknown,
    });
    expect(await treeOf(root)).toEqual({});
  });

  it('is not made a better one by a record that says so', async () => {
    const { models, at } = await onDisk();
    const path = join(at('v1.0.1'), 'version.json');
    const record = JSON.parse(await readFile(path, 'utf8')) as VersionRecord;
    for (const change of [{ passed: true }, { flips: 0 }, { right: { trained: 2, exported: 2 } }]) {
      const certificate = { ...record.certificate, ...change };
      await writeFile(path, JSON.stringify({ ...record, certificate }));
      await sumAgain(at('v1.0.1'));
      expect(await recordIn(models, 'v1.0.1'), JSON.stringify(change)).toMatchObject({
        certificate: null,
        uncertified: 'Its record says something else than its certificate does.',
      });
    }
  });

  it('is taken over with its version, and said there as well', async () => {
    const { models, at } = await onDisk();
    await writeFile(join(at('v1.0.0'), 'golden.json'), '{}\n');
    await sumAgain(at('v1.0.0'));
    const into = versionRegistry(memoryFolder().folder);
    expect(await importVersions(versionRegistry(nodeFolder(models)), into)).toEqual(['v1.0.0', 'v1.0.1']);
    expect(proofProblem(await into.read('v1.0.0'))).toMatch(/another package/);
    expect(proofProblem(await into.read('v1.0.1'))).toBe(`Its certificate failed. ${flip}`);
  });
});

it('a session that has seen a version whole is told nothing else by a record that was changed since', async () => {
  const { registry, at } = await onDisk();
  const before = await registry.list();
  const path = join(at('v1.0.1'), 'version.json');
  await writeFile(path, (await readFile(path, 'utf8')).replace('"passed": false', '"passed": true'));
  expect(await registry.list()).toEqual(before);
  await expect(registry.open('v1.0.1')).rejects.toMatchObject({ name: 'DamagedVersionError' });
});

it('a package has the bytes that certificates of earlier versions bear: zipped again, it is known by them', async () => {
  const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * i) % 251);
  const zip = await zipPackage('PacerIDClassifier', bytes(5000), bytes(640));
  // Whoever changes it has to go on telling the older form.
  expect(createHash('sha256').update(zip).digest('hex')).toBe(
    'daef2afb1f9184aaf04492e6303172ae75479c3f9c41b9aaf21c774a8cad1ca2',
  );
});

describe('a version without a certificate that passed', () => {
  it('goes to the app only where that is asked for', async () => {
    const { registry } = await onDisk();
    const root = await temporaryFolder();
    const to = { folder: nodeFolder(root), modelsDir: 'models', iosDir: 'ios' };
    await expect(syncVersion(registry, 'v1.0.1', to, { dryRun: false })).rejects.toMatchObject({
      name: 'UnprovenVersionError',
      message: expect.stringContaining(flip) as unknown,
    });
    expect(await treeOf(root)).toEqual({});
    const promised = await syncVersion(registry, 'v1.0.1', to, { dryRun: true });
    expect(await syncVersion(registry, 'v1.0.1', to, { dryRun: false, unproven: true })).toEqual(promised);
    await syncVersion(registry, 'v1.0.0', to, { dryRun: false });
  });

  it('says so in the name of its zip', async () => {
    const { registry } = await onDisk();
    expect((await versionsZip(registry, 'v1.0.1', 'ios')).fileName).toBe('models-v1.0.1-unproven.zip');
    expect((await versionsZip(registry, 'v1.0.0', 'ios')).fileName).toBe('models-v1.0.0.zip');
  });
});

it('versions of before certificates are read as they are, and say that they have none', async () => {
  const { registry, models, at } = await onDisk();
  const place = at('v0.9.0');
  await mkdir(place);
  await cp(at('v1.0.0'), place, { recursive: true });
  // What version.json said then, to the key.
  const { uncertified: _, ...record } = JSON.parse(
    await readFile(join(place, 'version.json'), 'utf8'),
  ) as VersionRecord;
  const old = { ...record, schema: 1, version: 'v0.9.0', certificate: null };
  await writeFile(join(place, 'version.json'), JSON.stringify(old));
  await run('rm', ['certificate.json', 'golden.json'], { cwd: place });
  await sumAgain(place);
  const before = await treeOf(place);
  const read = await versionRegistry(nodeFolder(models)).read('v0.9.0');
  expect(read).toMatchObject({ schema: 2, version: 'v0.9.0', labels, certificate: null });
  expect(proofProblem(read)).toBe('It was made before versions carried a certificate.');
  await registry.setNotes('v0.9.0', '');
  expect(await treeOf(place)).toEqual(before);
});
