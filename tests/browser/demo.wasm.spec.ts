import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { devices, expect, test, type Browser, type BrowserContextOptions, type Page } from '@playwright/test';
import JSZip from 'jszip';
import { freePort } from '../../scripts/system.mjs';
import { drawSample } from '../../src/dataset/sample/drawSample.ts';
import { violationsOf } from './axe.ts';
import { staticSite } from './staticSite.ts';
import {
  drop,
  expectProblem,
  fewSteps,
  goTo,
  open,
  startTraining,
  testAccuracy,
  useSample,
  watchRequests,
} from './support.ts';

test.use({
  launchOptions: [
    async ({ launchOptions }, use) =>
      use({
        ...launchOptions,
        args: [...(launchOptions.args ?? []), '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
      }),
    { scope: 'worker' },
  ],
});
test.describe.configure({ mode: 'serial' });

const phone: BrowserContextOptions = { ...devices['Pixel 7'], viewport: { width: 360, height: 740 } };

/** An image that nobody has seen yet. */
const image = (() => {
  const [first] = drawSample({ seed: 77, classes: 6, train_per_class: 4, test_per_class: 1, size: 200 });
  if (!first) throw new Error('No image was drawn.');
  return { name: 'unseen.png', mimeType: 'image/png', buffer: Buffer.from(first.png) };
})();

type Probabilities = Readonly<Record<string, number>>;
/** What the first test leaves to the others. */
let zip: Buffer;
let wanted: Probabilities;

/** Chooses the image as a user does; answers with every probability shown, all digits. */
async function choose(page: Page): Promise<Probabilities> {
  await page.getByLabel('Image to try').setInputFiles(image);
  await expect(page.getByTestId('prediction').locator('figcaption')).toContainText(image.name);
  return shown(page);
}

async function shown(page: Page): Promise<Probabilities> {
  const rows = await page
    .locator('[data-testid=prediction] li[data-label]')
    .evaluateAll((list) => list.map((li) => [li.getAttribute('data-label'), li.getAttribute('data-probability')]));
  return Object.fromEntries(rows.map(([label, probability]) => [String(label), Number(probability)]));
}

function expectSame(found: Probabilities): void {
  expect(Object.keys(found).sort()).toEqual(Object.keys(wanted).sort());
  for (const [label, probability] of Object.entries(wanted))
    expect(Math.abs((found[label] ?? NaN) - probability), label).toBeLessThanOrEqual(1e-4);
}

/** The zip's files in a folder of this test's own. */
async function unpacked(folder: string, changed: Readonly<Record<string, Uint8Array | string | null>> = {}) {
  const { files } = await JSZip.loadAsync(zip);
  for (const file of Object.values(files)) {
    const content = file.name in changed ? changed[file.name] : await file.async('nodebuffer');
    if (content == null) continue;
    await mkdir(dirname(join(folder, file.name)), { recursive: true });
    await writeFile(join(folder, file.name), content);
  }
}

/** Python's server where there is a Python: nothing of ours. */
async function foreignServer(folder: string, prefix: string): Promise<{ url: string; close(): Promise<void> }> {
  const port = await freePort();
  const python = spawn('python3', ['-m', 'http.server', String(port), '--bind', '127.0.0.1', '--directory', folder], {
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => {
    python.on('error', () => resolve());
    python.on('exit', () => resolve());
  });
  const url = `http://localhost:${port}/${prefix}/`;
  for (let tries = 0; tries < 100 && python.exitCode === null && python.pid !== undefined; tries++) {
    if (
      await fetch(url).then(
        ({ ok }) => ok,
        () => false,
      )
    ) {
      return { url, close: async () => (python.kill(), ended) };
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  python.kill();
  console.log('There is no python3 here: the folder is served by Node.');
  return staticSite(join(folder, prefix), { prefix: `/${prefix}/` });
}

/** axe-core finds nothing, dark and light, at the width that the page has now; and nothing sticks out of it. */
async function expectAccessible(page: Page): Promise<void> {
  for (const colorScheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    expect(await violationsOf(page), colorScheme).toEqual([]);
  }
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
}

async function visitor(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  return (await browser.newContext(options)).newPage();
}

test('Export saves a demo page', async ({ page }) => {
  await open(page, fewSteps);
  await useSample(page);
  await startTraining(page);
  await testAccuracy(page, 60_000);
  await goTo(page, 'Try');
  wanted = await choose(page);
  expect(Object.keys(wanted)).toHaveLength(6);
  await goTo(page, 'Export');
  const downloading = page.waitForEvent('download');
  await page.getByRole('button', { name: /^Demo page/ }).click();
  const download = await downloading;
  expect(download.suggestedFilename()).toBe('PacerIDClassifier-demo.zip');
  await expect(page.getByTestId('demo-saved')).toContainText('README.txt');
  zip = await readFile(await download.path());
});

test('from another server, below another path, it gives the app’s probabilities; then it needs no network', async ({
  browser,
}, info) => {
  const folder = info.outputPath('host');
  await unpacked(join(folder, 'some/where'));
  const server = await foreignServer(folder, 'some/where');
  const page = await visitor(browser);
  const asked = watchRequests(page);
  await page.goto(server.url);
  await expect(page.getByRole('heading', { level: 1 })).toContainText('PacerIDClassifier');
  await expect(page.locator('header')).toContainText(/6.classes/);
  await expect(page.locator('header')).toContainText(/n\s=\s12, 95\s% interval/);
  await expect(page.locator('header')).toContainText('Synthetic sample');
  await expect(page.locator('header')).toContainText('Not a medical device');
  expectSame(await choose(page));
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  await page.getByText('About this model').click();
  await expect(page.getByTestId('device')).toHaveText(/^WebAssembly, SIMD, \d+ threads?$/);
  await expectAccessible(page);

  // Dropped, and refused.
  await drop(page, [{ name: image.name, bytes: image.buffer, type: 'image/png' }]);
  await expect(page.getByTestId('prediction')).toBeVisible();
  await drop(page, [{ name: 'words.txt', bytes: Buffer.from('no image') }]);
  await expect(page.locator('[data-problem=UnreadableImageError]')).toContainText('not an image');
  await expectAccessible(page);

  await expect(page.getByTestId('offline')).toContainText('works without a network', { timeout: 30_000 });
  await server.close();
  await page.context().setOffline(true);
  await page.reload();
  expectSame(await choose(page));
  expect(asked.filter((url) => !url.startsWith(server.url) && !/^(blob|data):/.test(url))).toEqual([]);
  await page.context().close();
});

test('on a phone: 360 pixels wide, by touch, an image and the camera', async ({ browser }, info) => {
  const folder = info.outputPath('host');
  await unpacked(folder);
  const site = await staticSite(folder, { prefix: '/demos/six/' });
  const page = await visitor(browser, phone);
  await page.goto(site.url);
  const button = page.getByRole('button', { name: 'Choose an image' });
  await expect(button).toBeVisible();
  await expectAccessible(page);
  const chooser = page.waitForEvent('filechooser');
  await button.tap();
  await (await chooser).setFiles(image);
  await expect(page.getByTestId('prediction').locator('figcaption')).toContainText(image.name);
  expectSame(await shown(page));
  await expectAccessible(page);

  await page.getByRole('button', { name: 'Use the camera' }).tap();
  const take = page.getByRole('button', { name: 'Take a picture' });
  await expect(take).toBeEnabled();
  await expectAccessible(page);
  for (const control of await page.locator('main :is(button, summary)').all())
    expect((await control.boundingBox())?.height).toBeGreaterThanOrEqual(44);
  await take.tap();
  await expect(page.getByTestId('prediction').locator('figcaption')).toContainText('the camera');
  await expect(page.locator('[data-testid=prediction] .rows').first().locator('li')).toHaveCount(5);
  const sum = Object.values(await shown(page)).reduce((total, p) => total + p, 0);
  expect(sum).toBeCloseTo(1, 5);
  await expectAccessible(page);
  await page.getByRole('button', { name: 'Stop the camera' }).tap();
  await expect(page.getByRole('button', { name: 'Use the camera' })).toBeVisible();
  await site.close();
  await page.context().close();
});

test('what is wrong with its folder is named', async ({ browser }, info) => {
  const { files } = await JSZip.loadAsync(zip);
  const description = JSON.parse((await files['model/model.json']?.async('text')) ?? '') as Record<string, unknown>;
  const weights = (await files['model/weights.safetensors']?.async('nodebuffer')) ?? Buffer.alloc(0);
  const damaged = Buffer.from(weights);
  damaged[damaged.length - 3] = (damaged[damaged.length - 3] ?? 0) ^ 1;
  const cases = {
    ModelMissingError: { 'model/model.json': null, 'model/weights.safetensors': null },
    ModelVersionError: { 'model/model.json': JSON.stringify({ ...description, schema: 2 }) },
    ModelWeightsMissingError: { 'model/weights.safetensors': null },
    ModelDamagedError: { 'model/weights.safetensors': damaged },
  };
  for (const [name, changed] of Object.entries(cases)) {
    const folder = info.outputPath(name);
    await unpacked(folder, changed);
    const site = await staticSite(folder, { prefix: '/demo/' });
    const page = await visitor(browser);
    await page.goto(site.url);
    const problem = page.locator(`[data-problem=${name}]`);
    await expect(problem).toBeVisible();
    await expect(problem.locator('p')).toHaveCount(3);
    await expectAccessible(page);
    await page.context().close();
    await site.close();
  }
  const folder = info.outputPath('file');
  await unpacked(folder);
  const page = await visitor(browser);
  await page.goto(pathToFileURL(join(folder, 'index.html')).href);
  await expect(page.getByText('this page has to come from a web server')).toBeVisible();
  await page.context().close();
});

test('its zip, dropped on the app, opens in Try with the same probabilities; one of another version is refused', async ({
  page,
}) => {
  await open(page);
  await drop(page, [{ name: 'PacerIDClassifier-demo.zip', bytes: zip, type: 'application/zip' }]);
  await expect(page.getByRole('heading', { level: 1, name: 'Try' })).toBeVisible();
  expectSame(await choose(page));

  const newer = await JSZip.loadAsync(zip);
  const description = JSON.parse((await newer.file('model/model.json')?.async('text')) ?? '') as object;
  newer.file('model/model.json', JSON.stringify({ ...description, schema: 2 }));
  await drop(page, [{ name: 'newer.zip', bytes: await newer.generateAsync({ type: 'uint8array' }) }]);
  const words = await expectProblem(page, 'ModelVersionError');
  expect(words).toContain('“newer.zip” was made by another version of this app');
  // What was open still is.
  expectSame(await choose(page));
});
