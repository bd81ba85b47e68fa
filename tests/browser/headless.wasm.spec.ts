import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, type Page } from '@playwright/test';
import JSZip from 'jszip';
import { cliOrFail, setFlags } from '../unit/support/cli.ts';
import { readSafetensorsByHand } from '../verify/headless/wholeness.ts';
import { predictionsInTry } from './storedFixtures.ts';
import {
  drop,
  fewSteps,
  goTo,
  open,
  recordPredictions,
  startTraining,
  storedEvents,
  testAccuracy,
  useSample,
} from './support.ts';

const artefacts = 'output/e2e';

interface Metrics {
  readonly test: { readonly accuracy: number; readonly n: number };
  readonly bestEpoch: number;
}

interface CheckpointHead {
  readonly epoch: number;
  readonly dataset: { readonly hash: string; readonly classes: readonly string[] };
  readonly members: Readonly<Record<'train' | 'val' | 'test', readonly string[]>>;
  readonly history: readonly {
    readonly train: { readonly loss: number };
    readonly validation: { readonly loss: number; readonly accuracy: number; readonly n: number };
  }[];
}

/** What a checkpoint says of itself, read by hand. */
function headOf(path: string): CheckpointHead {
  return JSON.parse(readSafetensorsByHand(path).metadata['pacerid.checkpoint'] ?? 'null') as CheckpointHead;
}

/** A row of probabilities an image, in the data set's order, from `evaluate --predictions`. The sample's names need no quotes. */
function predictionsIn(path: string): number[][] {
  const [, ...lines] = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.map((line) => line.split(',').slice(3).map(Number));
}

/** Path → label → probability. */
function rowsIn(path: string): Map<string, Record<string, number>> {
  const [head = '', ...lines] = readFileSync(path, 'utf8').trimEnd().split('\n');
  const labels = head.split(',').slice(3);
  return new Map(
    lines.map((line) => {
      const [image = '', , , ...numbers] = line.split(',');
      return [image, Object.fromEntries(labels.map((label, i) => [label, Number(numbers[i])]))];
    }),
  );
}

/** The same from the page: the Test report in the newest run's stored log. */
async function predictionsOn(page: Page, classes: number): Promise<number[][]> {
  const judged = async () => (await storedEvents(page)).find(({ type }) => type === 'testEvaluated');
  await expect.poll(judged, { timeout: 60_000 }).toBeTruthy();
  const flat = Object.values((await judged())?.report?.probabilities ?? {});
  return Array.from({ length: flat.length / classes }, (_, i) => flat.slice(i * classes, (i + 1) * classes));
}

/** Logits up to a constant of the image: log p minus its mean. */
function centredLogits(probabilities: readonly number[]): number[] {
  const logs = probabilities.map((p) => Math.log(p));
  const mean = logs.reduce((sum, x) => sum + x, 0) / logs.length;
  return logs.map((x) => x - mean);
}

/** The largest difference of any logit of any image. */
function furthest(page: readonly number[][], headless: readonly number[][]): number {
  expect(page.length).toBe(headless.length);
  const differences = page.flatMap((row, image) => {
    const there = centredLogits(headless[image] ?? []);
    return centredLogits(row).map((x, i) => Math.abs(x - (there[i] ?? NaN)));
  });
  expect(differences.length).toBeGreaterThan(0);
  return Math.max(...differences);
}

async function zipFolder(folder: string, top: string): Promise<Buffer> {
  const zip = new JSZip();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) zip.file(`${top}${path.slice(folder.length).replaceAll('\\', '/')}`, readFileSync(path));
  }
  return zip.generateAsync({ type: 'nodebuffer' });
}

test('npm run train on the sample: over 90 % on Test; the page opens its checkpoint and gives the same logits', async ({
  page,
}, info) => {
  test.setTimeout(600_000);
  const dir = info.outputPath('out');
  const command = ['--config', 'configs/sample.yaml', '--set', `output.dir=${dir}`];
  await cliOrFail(['train', ...command], { timeout: 500_000 });
  const metrics = JSON.parse(readFileSync(join(dir, 'metrics.json'), 'utf8')) as Metrics;
  console.log(`${(100 * metrics.test.accuracy).toFixed(1)} % of ${metrics.test.n} Test images, by npm run train`);
  expect(metrics.test.accuracy).toBeGreaterThan(0.9);
  const table = info.outputPath('predictions.csv');
  await cliOrFail(['evaluate', ...command, '--predictions', table]);

  await open(page);
  await drop(page, [
    { name: 'checkpoint_best.safetensors', bytes: readFileSync(join(dir, 'checkpoint_best.safetensors')) },
  ]);
  await page.getByTestId('arrival').getByRole('button', { name: 'Open as a run' }).click();
  await expect(page.getByText(/^Epoch/).first()).toBeVisible();
  await goTo(page, 'Data');
  await useSample(page);
  await goTo(page, 'Evaluate');
  await page.getByRole('button', { name: /on Test now$/ }).click();
  const difference = furthest(await predictionsOn(page, 8), predictionsIn(table));
  console.log(`logits of page and Node differ by at most ${difference.toExponential(1)}`);
  expect(difference).toBeLessThan(1e-5);

  // One image, one answer: what Try says of a Test image is what the command wrote of it.
  await goTo(page, 'Try');
  const rows = rowsIn(table);
  for (const [path, said] of Object.entries(await predictionsInTry(page))) {
    const written = rows.get(path);
    for (const [label, p] of Object.entries(said)) expect(Math.abs(p - (written?.[label] ?? NaN))).toBeLessThan(1e-6);
  }

  // For the foreign judge: the package that the command wrote, against what the page says of the same pixels.
  const shown = await recordPredictions(page, 64);
  mkdirSync(artefacts, { recursive: true });
  const folder = join(dir, 'PacerIDClassifier.mlpackage');
  writeFileSync(`${artefacts}/headless-float16.zip`, await zipFolder(folder, 'PacerIDClassifier.mlpackage'));
  writeFileSync(`${artefacts}/headless-float16.predictions.json`, shown);
});

test('page and Node, same zip, same seed: same classes, same split, same figures; a page’s checkpoint is judged alike', async ({
  page,
}, info) => {
  test.setTimeout(300_000);
  const settings = { ...fewSteps, 'training.epochs': 4, 'training.device': 'wasm', 'model.architecture': 'tiny' };
  const untrained = { ...settings, 'model.pretrained': 'false', 'training.learning_rate': '0.003' };
  await open(page, untrained);
  await useSample(page);
  const saving = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Save as zip' }).click();
  const zip = info.outputPath('set.zip');
  await (await saving).saveAs(zip);

  const dir = info.outputPath('out');
  const flags = setFlags(untrained);
  await cliOrFail(['train', '--data', zip, ...flags, '--set', `output.dir=${dir}`]);
  const there = headOf(join(dir, 'checkpoint_latest.safetensors'));

  await drop(page, [{ name: 'set.zip', bytes: readFileSync(zip) }]);
  await page.getByTestId('arrival').getByRole('button', { name: 'Open as a new data set' }).click();
  await startTraining(page);
  await testAccuracy(page, 120_000);
  await goTo(page, 'Export');
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: /^Save checkpoint of epoch \d+, the best/ }).click();
  const file = info.outputPath('page.safetensors');
  await (await download).saveAs(file);
  const here = headOf(file);

  expect(here.dataset.hash).toBe(there.dataset.hash);
  expect(here.dataset.classes).toEqual(there.dataset.classes);
  expect(here.members).toEqual(there.members);
  // The best epoch's: up to it.
  expect(here.history.length).toBeGreaterThan(0);
  const losses = here.history.map(({ train, validation }, i) => {
    const other = there.history[i];
    return Math.max(
      Math.abs(train.loss - (other?.train.loss ?? NaN)),
      Math.abs(validation.loss - (other?.validation.loss ?? NaN)),
    );
  });
  console.log(`losses of ${losses.length} epochs differ by at most ${Math.max(...losses).toExponential(1)}`);
  // One image of the validation split is what noise may be here; the losses say far more.
  here.history.forEach(({ validation: { accuracy, n } }, i) =>
    expect(Math.abs(accuracy - (there.history[i]?.validation.accuracy ?? NaN))).toBeLessThanOrEqual(1 / n + 1e-9),
  );
  expect(Math.max(...losses)).toBeLessThan(1e-3);

  const table = info.outputPath('predictions.csv');
  await cliOrFail(['evaluate', '--checkpoint', file, '--data', zip, '--predictions', table]);
  const difference = furthest(await predictionsOn(page, 6), predictionsIn(table));
  console.log(`logits of the page's checkpoint differ by at most ${difference.toExponential(1)} in Node`);
  expect(difference).toBeLessThan(1e-5);

  // What the page began goes on in Node: the same numbers as where Node went all the way.
  const longer = info.outputPath('longer');
  const goOn = ['--resume', '--checkpoint', file, '--data', zip, '--epochs', '5', '--set', `output.dir=${longer}`];
  await cliOrFail(['train', ...goOn]);
  const whole = info.outputPath('whole');
  await cliOrFail([
    'train',
    '--data',
    zip,
    ...flags.map((flag) => flag.replace('epochs=4', 'epochs=5')),
    '--set',
    `output.dir=${whole}`,
  ]);
  const [resumed, straight] = [longer, whole].map((at) => headOf(join(at, 'checkpoint_latest.safetensors')));
  expect(resumed?.history).toHaveLength(5);
  expect(resumed?.history.map(({ train }) => train.loss)).toEqual(straight?.history.map(({ train }) => train.loss));
});
