/**
 * Uses a built page of some commit in Chromium as a user does, and keeps what it then has stored, beside what it showed:
 *
 *     node scripts/run.mjs tests/tools/recordStored.ts DIST COMMIT OUT.br [--flat]
 *
 * DIST: the built page of COMMIT. A zip of 32 small images is imported (`--flat`: without Train and Test), and a weights file; a run
 * is cut off by closing its tab; another is trained to its end. Where the page has versions: one is saved, images are added, and a
 * run is retrained from it. The weights file is of zeros and plus-minus constants and only the head is trained, so that megabytes
 * of weights come to some ten kB. tests/fixtures/stored/README.md says which fixtures were made with it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium, type BrowserContext, type Page } from '@playwright/test';
import JSZip from 'jszip';
import sharp from 'sharp';
import { architectures, buildGraph } from '../../src/architectures/index.ts';
import { initialWeights } from '../../src/architectures/initialise.ts';
import { random } from '../../src/random.ts';
import { writeSafetensors } from '../../src/weights/safetensors.ts';
import { staticSite } from '../browser/staticSite.ts';
import { drop, goTo, open, testAccuracy } from '../browser/support.ts';
import { dump, pack } from '../browser/storedPage.ts';
import { predictionsInTry, type Recorded, type StoredFixture } from '../browser/storedFixtures.ts';

const { values: flags, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: { flat: { type: 'boolean', default: false } },
});
const [dist = '', commit = '', out = ''] = positionals;
if (!existsSync(join(dist, 'index.html')) || !out.endsWith('.br')) throw new Error('DIST COMMIT OUT.br [--flat]');
const [hash = '', date = '', subject = ''] = spawnSync('git', ['log', '-1', '--format=%h%n%cI%n%s', commit], {
  encoding: 'utf8',
}).stdout.split('\n');

const SIDE = 40;
const CLASSES = ['ABB - Ash', 'ABB - Birch', 'ACR - Cedar', 'ACR - Elm'];
const EPOCHS = 8;
/** Of the run that is cut off: enough for a hand to be in time. */
const MANY = 30;
/** Where features are cached, the run that is to be cut off would be over before its tab is closed. */
const cached = spawnSync('git', ['show', `${commit}:configs/base.yaml`], { encoding: 'utf8' }).stdout.includes(
  'cached_views',
);
const settings = {
  ...(cached && { 'training.cached_views': 0 }),
  'model.architecture': 'tiny',
  'model.pretrained': 'false',
  'data.img_size': 32,
  'data.batch_size': 8,
  'data.test_split': 0.3,
  'training.layers': 'head',
  'training.learning_rate': 0.03,
};

/** Grey, with a bright disc, ring, cross or square somewhere. */
async function picture(kind: number, seed: number): Promise<Buffer> {
  const draw = random(seed, kind);
  const [ground, shape, cx, cy] = [
    30 + draw.integer(60),
    160 + draw.integer(90),
    14 + draw.integer(12),
    14 + draw.integer(12),
  ];
  const pixels = Buffer.alloc(SIDE * SIDE, ground);
  for (let y = 0; y < SIDE; y++)
    for (let x = 0; x < SIDE; x++) {
      const [dx, dy] = [Math.abs(x - cx), Math.abs(y - cy)];
      const r = Math.hypot(dx, dy);
      const inside = [r < 9, r < 12 && r > 8, (dx < 3 || dy < 3) && r < 13, dx < 8 && dy < 8][kind % 4];
      if (inside) pixels[y * SIDE + x] = shape;
    }
  return sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 1 } })
    .png()
    .toBuffer();
}

async function zip(classes: readonly string[], first: number, train: number, test: number): Promise<Uint8Array> {
  const archive = new JSZip();
  for (const [kind, name] of classes.entries())
    for (let i = 0; i < train + test; i++) {
      const folder = flags.flat ? '' : i < train ? 'Train/' : 'Test/';
      archive.file(`${folder}${name}/${first + i}.png`, await picture(kind + first, first + i));
    }
  return archive.generateAsync({ type: 'uint8array' });
}

/** Every convolution made of zeros and of one constant with its two signs; batch norms that spread what those give. */
function weightsFile(): Uint8Array {
  const weights = new Map(initialWeights(buildGraph('tiny', CLASSES.length), architectures.tiny, 1));
  for (const [name, { shape, data }] of weights) {
    if (name.endsWith('running_var')) data.fill(0.25);
    if (shape.length !== 4) continue;
    const deviation = Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);
    data.forEach((x, i) => (data[i] = Math.abs(x) < 0.43 * deviation ? 0 : Math.sign(x) * deviation));
  }
  return writeSafetensors(weights);
}

async function newPage(context: BrowserContext, epochs: number): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('dialog', (dialog) => void dialog.accept());
  await open(page, { ...settings, 'training.epochs': epochs });
  return page;
}

async function train(page: Page, epochs: number): Promise<void> {
  await page.getByRole('button', { name: `Train ${epochs} epochs`, exact: true }).click();
}

/** Closes the tab of a run that has a checkpoint; held first, so that it does not reach its end meanwhile. */
async function cutOff(page: Page): Promise<void> {
  await page.getByRole('rowheader', { name: /^\d/ }).first().waitFor();
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Continue' }).waitFor();
  await page.close({ runBeforeUnload: false });
}

const site = await staticSite(dist, { prefix: '/' });
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-features=WebGPU', '--disable-gpu'],
});
const context = await browser.newContext({ baseURL: site.url, viewport: { width: 1440, height: 900 } });
try {
  const first = await newPage(context, MANY);
  await drop(first, [{ name: 'devices.zip', bytes: await zip(CLASSES, 0, 5, 3), type: 'application/zip' }]);
  await first.getByRole('button', { name: 'Set up training' }).click();
  await drop(first, [{ name: 'backbone.safetensors', bytes: weightsFile() }]);
  await first.getByRole('radio', { name: /^backbone/ }).check();
  await train(first, MANY);
  await cutOff(first);

  const page = await newPage(context, EPOCHS);
  await goTo(page, 'Train');
  await page.getByRole('button', { name: 'Set up a new run' }).click();
  await page.getByRole('radio', { name: /^backbone/ }).check();
  await train(page, EPOCHS);
  let accuracy = await testAccuracy(page, 60_000);
  const versions: string[] = [];
  if ((await page.locator('nav[aria-label=Steps] a[href="#versions"]').count()) > 0) {
    await goTo(page, 'Versions');
    await page.getByRole('textbox', { name: 'Notes', exact: true }).first().fill('The first.');
    await page.getByRole('button', { name: 'Save v1.0.0' }).click();
    await page.locator('tr[data-version="v1.0.0"]').waitFor();
    versions.push('v1.0.0');
    await goTo(page, 'Data');
    await drop(page, [
      { name: 'more.zip', bytes: await zip([...CLASSES, 'NEW - Oak'].slice(3), 100, 4, 2), type: 'application/zip' },
    ]);
    await page
      .getByTestId('arrival')
      .getByRole('button', { name: /^Add to devices/ })
      .click();
    await page.getByTestId('added').waitFor();
    await goTo(page, 'Versions');
    await page.getByRole('button', { name: 'Retrain from v1.0.0' }).click();
    await page.getByTestId('label-change').waitFor();
    await train(page, EPOCHS);
    accuracy = await testAccuracy(page, 60_000);
  }
  await goTo(page, 'Try');
  const predictions = await predictionsInTry(page);
  await page.close();

  const still = await context.newPage();
  await still.goto('icon.svg');
  const stored = await dump(still);
  const runs = (stored.databases.find(({ name }) => name === 'pacerid-runs')?.stores[0]?.entries ?? [])
    .filter(([key]) => key.startsWith('run/'))
    .map(([, run]) => run as { state: string; latestEpoch: number | null });
  if (!runs.some(({ state, latestEpoch }) => state === 'running' && latestEpoch !== null && latestEpoch < MANY - 1))
    throw new Error('No run was cut off in its middle: try again.');
  const recorded: Recorded = { accuracy, predictions, versions };
  const fixture: StoredFixture = { page: { commit: hash, date, subject }, recorded, stored };
  const file = pack(fixture);
  writeFileSync(out, file);
  console.log(`${out}: ${(file.length / 1000).toFixed(0)} kB`);
  for (const { name, stores } of stored.databases)
    for (const { entries } of stores) console.log(`  ${name}: ${entries.map(([key]) => key).join(' ')}`);
} finally {
  await browser.close();
  await site.close();
}
