/** A run whose package does not answer as its network does: real processes, a network of seconds. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Certificate } from '../../../src/parity/types.ts';
import type { MetricsFile } from '../../../src/training/metricsFile.ts';
import { cliOrFail, runCli, setFlags, startCli } from '../support/cli.ts';
import { writeFewImages } from '../support/fewSteps.ts';

const name = 'PacerIDClassifier.mlpackage';
const settings = {
  'data.img_size': 32,
  'data.batch_size': 8,
  'model.architecture': 'tiny',
  'model.pretrained': false,
  'training.device': 'wasm',
  'output.dir': 'my runs',
};
const set = setFlags(settings);
const images = ['--data', 'images', '--no-cache'];
/** No float16 package is as near as the first; any is as near as the second. */
const strict = ['--set', 'output.certificate.max_difference.float16=1e-9'];
const lenient = ['--set', 'output.certificate.max_difference.float16=0.005'];

let cwd: string;
beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'held-back-'));
  writeFewImages(join(cwd, 'images'));
});
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const train = (...args: string[]): string[] => ['train', ...images, ...set, ...args];
const listed = (): string[] => readdirSync(join(cwd, 'my runs')).sort();
const read = <T>(file: string): T => JSON.parse(readFileSync(join(cwd, 'my runs', file), 'utf8')) as T;
const certificate = (): Certificate => read(`${name}.certificate.json`);

it('is complete but for the package, says why and how to write it all the same, and ends with 1', async () => {
  const { code, stdout, stderr } = await runCli(train('--epochs', '1', ...strict), { cwd });
  expect(code).toBe(1);
  expect(stdout).toMatch(
    /Package +none: held back\nCertificate +FAILED on 12 Test images\. .*differ by more than 1e-9/,
  );
  expect(stdout).not.toContain('Next');
  expect(stderr).toMatch(/^PackageHeldBackError: my runs.PacerIDClassifier\.mlpackage was held back: .*certificate/);
  for (const kept of ['checkpoint_best.safetensors', 'metrics.json', `${name}.certificate.json`]) {
    expect(stderr).toContain(join('my runs', kept));
    expect(listed()).toContain(kept);
  }
  expect(certificate()).toMatchObject({ passed: false, images: 12, precision: 'float16' });
  expect(listed().filter((one) => one.endsWith('.mlpackage') || one.startsWith('.'))).toEqual([]);
  expect(read<MetricsFile>('metrics.json').test?.n).toBe(12);

  // Its last words are command lines of a shell: each does what it says.
  const command = `npm run export -- --set 'output.dir=my runs' --data images --no-cache`;
  expect(stderr).toContain(`${command} --force\n`);
  expect(stderr).toContain(`${command} --precision float32\n`);
  const said = ['export', '--set', 'output.dir=my runs', ...images];
  await cliOrFail([...said, '--force'], { cwd });
  expect(listed()).toContain(name);
  expect(certificate()).toMatchObject({ passed: false, precision: 'float16' });
  await cliOrFail([...said, '--precision', 'float32'], { cwd });
  expect(certificate()).toMatchObject({ passed: true, precision: 'float32' });
});

it('takes the package of an earlier epoch away, and the certificate with it: they are not what its figures are about', async () => {
  const before = readFileSync(join(cwd, 'my runs', name, 'Manifest.json'), 'utf8');
  const { code, stdout, stderr } = await runCli(train('--resume', '--epochs', '2', ...strict), { cwd });
  expect(code).toBe(1);
  expect(stdout).toMatch(/Package +none: held back, and the one that was there removed/);
  expect(stderr).toContain('The package that was there was removed');
  expect(listed()).not.toContain(name);
  expect(certificate()).toMatchObject({ passed: false, precision: 'float16' });
  expect(read<MetricsFile>('metrics.json').epochs).toHaveLength(2);

  // The same run, which is complete by now, once less is asked of it.
  const again = await cliOrFail(train('--resume', '--epochs', '2', ...lenient), { cwd });
  expect(again.stdout).toMatch(/Package +my runs.*\nCertificate +passed: .* of 12 Test images/);
  expect(certificate().passed).toBe(true);
  expect(readFileSync(join(cwd, 'my runs', name, 'Manifest.json'), 'utf8')).not.toBe(before);
});

it('Ctrl-C while a package is compared: it is written without a certificate, and that is said', async () => {
  const child = startCli(train('--resume', '--epochs', '2', ...lenient), { cwd });
  // The run is complete: images are read once more for the comparison alone.
  await child.line(/^Data: /);
  child.signal('SIGINT');
  const { code, stdout } = await child.ended;
  expect([code, stdout]).toEqual([
    0,
    expect.stringMatching(/SIGINT: the training is complete .*only the package is being written/),
  ]);
  expect(stdout).toMatch(/Package +my runs.*\nCertificate +none\. Nobody waited for it: npm run export/);
  expect(listed()).toContain(name);
  expect(listed()).not.toContain(`${name}.certificate.json`);
});
