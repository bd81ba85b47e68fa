/** A model that begins as a PyTorch file, grows by images that come later, and is judged on what it never learnt from. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { drawSample } from '../../../src/dataset/sample/drawSample.ts';
import type { MetricsFile } from '../../../src/training/metricsFile.ts';
import { writeSampleZip } from '../../verify/headless/sampleZip.ts';
import { readSafetensorsByHand } from '../../verify/headless/wholeness.ts';
import { cliOrFail, runCli, type JsonLine } from '../support/cli.ts';

let home: string;
const sample = { seed: 7, classes: 4, train_per_class: 10, test_per_class: 3, size: 48 };
const drawn = [...drawSample(sample)];
const classOf = (path: string): string => path.split('/')[1] ?? '';
const [first = '', second = '', third = '', late = ''] = [...new Set(drawn.map(({ path }) => classOf(path)))].sort();
const settings = ['model.architecture=tiny', 'data.img_size=32', 'data.batch_size=8', 'training.device=wasm'];
const options = () => ({ cwd: home });
const train = (dir: string, ...flags: string[]) =>
  cliOrFail(
    ['train', ...[...settings, `output.dir=${dir}`].flatMap((one) => ['--set', one]), '--epochs', '1', ...flags],
    options(),
  );
const metricsIn = (dir: string): MetricsFile =>
  JSON.parse(readFileSync(join(home, dir, 'metrics.json'), 'utf8')) as MetricsFile;
const judge = async (dir: string, ...flags: string[]) => {
  const checkpoint = join(dir, 'checkpoint_best.safetensors');
  const { stdout } = await cliOrFail(['evaluate', '--checkpoint', checkpoint, '--json', ...flags], options());
  const lines = stdout.trimEnd().split('\n');
  const last = JSON.parse(lines.at(-1) ?? '') as JsonLine;
  return last as unknown as {
    dataset: { unknownImages: number };
    report: { n: number; accuracy: number; loss: number; perClass: { label: string; support: number }[] };
  };
};

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'judging-'));
  await writeSampleZip(join(home, 'first.zip'), [{ wanted: sample, keep: (name) => name !== late }]);
  await writeSampleZip(join(home, 'more.zip'), [{ wanted: sample, keep: (name) => name === late }]);
  // Rows of the file's head: one class that the data set hasn't, two that it has, in another order.
  writeFileSync(join(home, 'labels.txt'), `${third}\nGone\n${first}\n`);
  for (const { path, png } of drawn.filter(({ path }) => classOf(path) === second)) {
    const to = join(home, 'one', classOf(path), path.replaceAll('/', ' '));
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, png);
  }
}, 60_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

it('train --from a .pt with --labels: rows of known labels are the file’s, the others are new', async () => {
  const file = join(process.cwd(), 'tests/fixtures/pytorch/tiny.pt');
  // A rate at which nothing moves.
  const still = ['--learning-rate', '1e-9'];
  const from = ['--from', file, '--labels', 'labels.txt'];
  const { stdout } = await train('out', '--data', 'first.zip', ...from, ...still);
  expect(stdout).toContain('tiny.pt');
  const { tensors } = readSafetensorsByHand(join(home, 'out/checkpoint_best.safetensors'));
  const row = (name: string, i: number, length: number): number[] =>
    Array.from({ length }, (_, k) => tensors.get(name)?.bytes.readFloatLE(4 * (i * length + k)) ?? NaN);
  const all = (value: number) => Array.from({ length: 128 }, () => expect.closeTo(value, 6) as number);
  // Row 2 of the file, all 3/16, is the first class; row 0, all 1/16, the third.
  expect(row('classifier.weight', 0, 128)).toEqual(all(3 / 16));
  expect(row('classifier.weight', 2, 128)).toEqual(all(1 / 16));
  expect(new Set(row('classifier.weight', 1, 128)).size).toBeGreaterThan(100);
  expect(row('classifier.bias', 0, 3)).toEqual([
    expect.closeTo(-3 / 16, 6),
    expect.anything(),
    expect.closeTo(-1 / 16, 6),
  ]);

  writeFileSync(join(home, 'short.txt'), 'a\nb\n');
  const short = ['--from', file, '--labels', 'short.txt', '--data', 'first.zip', '--set', 'output.dir=none'];
  const refused = await runCli(['train', ...short], options());
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/^LabelsDoNotFitError: /) as string]);
});

it('evaluate --add: a retrained model on its own Test, and on what was Test before', async () => {
  await train('more', '--data', 'first.zip', '--add', 'more.zip', '--from', 'out/checkpoint_best.safetensors');
  const { test } = metricsIn('more');
  expect(test?.n).toBe(12);
  const own = await judge('more', '--data', 'first.zip', '--add', 'more.zip');
  expect(own.dataset.unknownImages).toBe(0);
  expect(own.report).toMatchObject({
    n: 12,
    accuracy: test?.accuracy,
    loss: expect.closeTo(test?.loss ?? 0, 5) as number,
  });
  const old = await judge('more', '--data', 'first.zip', '--no-cache');
  expect(old.dataset.unknownImages).toBe(0);
  expect(old.report.n).toBe(9);
});

it('evaluate takes images of one class, which are still too few to train on; and says what there is nothing for', async () => {
  const one = await judge('out', '--data', 'one', '--split', 'train');
  expect(one.report.perClass.filter(({ support }) => support > 0).map(({ label }) => label)).toEqual([second]);
  // They are decoded by now.
  const refused = await runCli(
    [
      'train',
      '--data',
      'one',
      '--set',
      'data.img_size=32',
      '--set',
      'output.dir=none',
      '--set',
      'model.pretrained=false',
    ],
    options(),
  );
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/^OneClassError: /) as string]);
  const none = await runCli(['evaluate', '--checkpoint', 'out/checkpoint_best.safetensors'], options());
  expect([none.code, none.stderr]).toEqual([
    1,
    expect.stringMatching(/^NoDataError: There are no images to judge: /) as string,
  ]);
});
