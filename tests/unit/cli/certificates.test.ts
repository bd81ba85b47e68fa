/** Certificates of the headless face: real processes, a network of seconds. */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Certificate } from '../../../src/parity/types.ts';
import { cliOrFail, runCli, setFlags, startCli } from '../support/cli.ts';
import { writeFewImages } from '../support/fewSteps.ts';

const settings = {
  'data.img_size': 32,
  'data.batch_size': 8,
  'model.architecture': 'tiny',
  'model.pretrained': false,
  'training.device': 'wasm',
  'training.seed': 42,
};
const set = setFlags(settings);
const device = ['--set', 'training.device=wasm'];
/** No float16 package is as near as that. */
const strict = ['--set', 'output.certificate.max_difference.float16=1e-9'];

let place: string;
let trained: string;
/** Images of the model, in a folder that nobody has decoded and kept. */
let images: string;
beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), 'certificates-'));
  images = join(place, 'images');
  writeFewImages(images);
  const args = ['train', '--epochs', '1', '--data', images, '--no-cache', ...set];
  trained = (await cliOrFail(args, { cwd: place })).stdout;
});
afterAll(() => rmSync(place, { recursive: true, force: true }));

/** A place of its own, with the trained model in it. */
function copied(): string {
  const folder = mkdtempSync(join(place, 'at-'));
  cpSync(join(place, 'output'), join(folder, 'output'), { recursive: true });
  return folder;
}
const read = (...path: string[]): Certificate => JSON.parse(readFileSync(join(...path), 'utf8')) as Certificate;
const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

it('training says how near its package is, and leaves the certificate beside it', () => {
  expect(trained).toMatch(
    /Certificate +passed: no probability differs by more than \S+ \(allowed: 0\.005\).* of 12 Test/,
  );
  expect(read(place, 'output/PacerIDClassifier.mlpackage.certificate.json')).toMatchObject({
    passed: true,
    images: 12,
    flips: 0,
    precision: 'float16',
    imagesFrom: { split: 'test' },
  });
});

it('an export is certified by the very bytes that are written, on as many images as are asked for', async () => {
  const cwd = copied();
  const args = [
    'export',
    '--format',
    'onnx',
    '--precision',
    'float32',
    '--images',
    '1',
    '--data',
    images,
    '--output',
    'o',
  ];
  const { stdout } = await cliOrFail([...args, '--no-cache'], { cwd });
  const certificate = read(cwd, 'o/PacerIDClassifier.onnx.certificate.json');
  expect(certificate).toMatchObject({ passed: true, images: 6, precision: 'float32' });
  expect(certificate.sha256).toBe(sha256(join(cwd, 'o/PacerIDClassifier.onnx')));
  expect(stdout).toMatch(/→ o.PacerIDClassifier\.onnx \(float32\)\nCertificate: passed: .* of 6 Test images/);

  // Without one, that of the earlier file is not left to speak for the new one.
  const bare = await cliOrFail(['export', '--format', 'onnx', '--no-certificate', '--output', 'o'], { cwd });
  expect(bare.stdout).toContain('No certificate, as asked for: nothing proves');
  expect(readdirSync(join(cwd, 'o'))).toEqual(['PacerIDClassifier.onnx']);
});

it('a file that fails is not written, unless it is to be all the same', async () => {
  const cwd = copied();
  const args = ['export', '--data', images, '--no-cache', '--output', 'o', ...strict];
  const refused = await runCli(args, { cwd });
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(
    /^CertificateFailedError: o.PacerIDClassifier\.mlpackage was not written, .*differ by more than 1e-9.*\nKept: .+\nWhat to do: .*--force/s,
  );
  expect(existsSync(join(cwd, 'o'))).toBe(false);
  const forced = await cliOrFail([...args, '--force'], { cwd });
  expect(forced.stdout).toMatch(/Certificate: FAILED on 12 Test images\. .*differ by more than/);
  expect(read(cwd, 'o/PacerIDClassifier.mlpackage.certificate.json').passed).toBe(false);
  expect(existsSync(join(cwd, 'o/PacerIDClassifier.mlpackage/Manifest.json'))).toBe(true);
});

it('where the images are gone the file is written and says that nothing proves it; a wrong name for them is a mistake', async () => {
  const cwd = copied();
  const { stdout } = await cliOrFail(['export', '--format', 'tfjs'], { cwd });
  expect(stdout).toMatch(/No certificate: The images that the model was trained with, images, are not here/);
  expect(readdirSync(join(cwd, 'output')).filter((name) => name.includes('tfjs'))).toEqual([
    'PacerIDClassifier.tfjs.zip',
  ]);
  expect(stdout).toContain('with --data PATH');
  const wrong = await runCli(['export', '--data', 'nowhere.zip'], { cwd });
  expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringMatching(/^NoSuchPathError: .*nowhere\.zip/)]);
  // Who says how many images has asked for a certificate.
  const asked = await runCli(['export', '--images', 'all'], { cwd });
  expect([asked.code, asked.stderr]).toEqual([1, expect.stringMatching(/^NoCertificateImagesError: /)]);
  const file = await runCli(['export', '--output', 'output/metrics.json'], { cwd });
  expect([file.code, file.stderr]).toEqual([1, expect.stringMatching(/^UsageError: .*metrics\.json is a file/)]);
});

it('a bundle holds its certificate, and is refused as a file is', async () => {
  const cwd = copied();
  const args = ['export', '--format', 'bundle', '--with', 'onnx', '--data', images, '--no-cache', '--output', 'o'];
  const { stdout } = await cliOrFail(args, { cwd });
  expect(stdout).toMatch(/Certificate of mlpackage: passed.*\nCertificate of onnx: passed/);
  expect(readdirSync(join(cwd, 'o'))).toEqual(['PacerIDClassifier-bundle.zip']);
  rmSync(join(cwd, 'o'), { recursive: true });
  expect(await runCli([...args, ...strict], { cwd })).toMatchObject({ code: 1 });
  expect(existsSync(join(cwd, 'o'))).toBe(false);
});

it('a version is made with a certificate, or not without being asked to', async () => {
  const cwd = copied();
  const sync = (version: string, ...more: string[]) =>
    runCli(['sync-model', '--version', version, ...device, ...more], { cwd });
  const named = ['--data', images, '--no-cache'];
  const made = await sync('v1.0.0', ...named);
  expect([made.code, made.stdout]).toEqual([0, expect.stringMatching(/\nCertificate: passed: .* of 12 Test images/)]);
  expect(read(cwd, 'models/versions/v1.0.0/certificate.json')).toMatchObject({ passed: true, images: 12 });

  const nothing = await sync('v1.0.1');
  expect(nothing.code).toBe(1);
  expect(nothing.stderr).toMatch(
    /VersionUnprovenError: v1\.0\.1 was not made, .*are not here[^]*--data PATH[^]*--force/,
  );
  const failed = await sync('v1.0.1', ...named, ...strict);
  expect(failed.stderr).toMatch(
    /VersionUnprovenError: v1\.0\.1 was not made, .*Its certificate failed\. .*differ by more/,
  );
  expect(readdirSync(join(cwd, 'models/versions'))).toEqual(['v1.0.0']);

  const forced = await sync('v1.0.1', ...named, ...strict, '--force');
  expect([forced.code, forced.stdout]).toEqual([0, expect.stringMatching(/\nCertificate: FAILED on 12 Test images/)]);
  // It says so wherever it is met again, and is not copied by the way.
  await cliOrFail(['sync-model', '--version', 'v1.0.0'], { cwd });
  const again = await sync('v1.0.1');
  expect([again.code, again.stderr]).toEqual([1, expect.stringMatching(/v1\.0\.1 was not copied, .*failed/)]);
  expect(readFileSync(join(cwd, 'models/current'), 'utf8')).toBe('v1.0.0\n');
  const list = await cliOrFail(['versions'], { cwd });
  expect(list.stdout).toMatch(/ v1\.0\.1 .* FAILED .*\n.* v1\.0\.0 .* passed, \S+ .*\n[^]*package of v1\.0\.1 answers/);
  const shown = await cliOrFail(['versions', 'show', 'v1.0.1'], { cwd });
  expect(shown.stdout).toMatch(/certificate +FAILED on 12 Test images.*image \d+/);
  const diff = await cliOrFail(['versions', 'diff', 'v1.0.0', 'v1.0.1'], { cwd });
  expect(diff.stdout).toMatch(/certificate +passed, \S+; 0 of 12 images flipped +FAILED; 0 of 12 images flipped/);
});

it('Ctrl-C while it is compared leaves nothing', async () => {
  const cwd = copied();
  const args = ['export', '--format', 'onnx', '--data', images, '--no-cache', '--output', 'o'];
  const process = startCli(args, { cwd });
  await process.line(/^Data: /);
  process.signal('SIGINT');
  expect(await process.ended).toMatchObject({
    code: 130,
    stdout: expect.stringContaining('nothing was written') as unknown,
  });
  expect(existsSync(join(cwd, 'o'))).toBe(false);
});
