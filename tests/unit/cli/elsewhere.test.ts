/** The command line in a copy of this repository: its own `public/weights`, and a user who may not write everywhere. */
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildGraph } from '../../../src/architectures/index.ts';
import { writeSafetensors } from '../../../src/weights/safetensors.ts';
import { readSafetensorsByHand } from '../../verify/headless/wholeness.ts';
import { startProcess } from '../support/cli.ts';
import { asNobody, nobodyCanRead } from '../support/nobody.ts';
import { formulaWeights } from '../support/formulaWeights.ts';

let place: string;
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'elsewhere-'));
  for (const name of ['src', 'configs', 'scripts', 'package.json', 'package-lock.json'])
    cpSync(name, join(place, name), { recursive: true });
  symlinkSync(join(process.cwd(), 'node_modules'), join(place, 'node_modules'));
  mkdirSync(join(place, 'readonly'));
  chmodSync(join(place, 'readonly'), 0o555);
  chmodSync(place, 0o755);
});
afterAll(() => rmSync(place, { recursive: true, force: true }));

const small = [
  'data.source=sample',
  'data.img_size=32',
  'data.batch_size=8',
  'data.sample.classes=6',
  'data.sample.train_per_class=4',
  'data.sample.test_per_class=1',
  'training.epochs=1',
];
const train = (settings: readonly string[], under: readonly string[] = []) =>
  startProcess(
    process.execPath,
    [join(place, 'scripts', 'cli.mjs'), 'train', ...[...small, ...settings].flatMap((pair) => ['--set', pair])],
    {
      cwd: place,
      under,
    },
  ).ended;

it('starts from the file in public/weights, and keeps no copy of it', async () => {
  const file = join(place, 'public', 'weights', 'mobilenet_v3_small.safetensors');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, writeSafetensors(formulaWeights(buildGraph('mobilenet_v3_small', 1000)), { format: 'pt' }));
  const settings = ['model.architecture=mobilenet_v3_small', 'training.layers=head', 'output.dir=out'];
  const { code, stdout, stderr } = await train(settings);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toContain('Starts from ImageNet weights.');
  // Only the head is trained: the rest is the file's, to the bit.
  const [before, after] = [file, join(place, 'out', 'checkpoint_latest.safetensors')].map(
    (path) => readSafetensorsByHand(path).tensors,
  );
  for (const name of ['features.0.0.weight', 'features.11.block.3.0.weight'])
    expect(after?.get(name)?.bytes.equals(before?.get(name)?.bytes ?? Buffer.alloc(0)), name).toBe(true);
  expect(existsSync(join(place, '.cache', 'weights'))).toBe(false);
});

// Root may write anywhere.
it.runIf(nobodyCanRead)('a folder that may not be written', async () => {
  const settings = ['model.architecture=tiny', 'model.pretrained=false', 'output.dir=readonly/out'];
  const { code, stderr } = await train(settings, asNobody);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^NotWritableError: readonly.out can't be written: this user has no right to\./);
});
