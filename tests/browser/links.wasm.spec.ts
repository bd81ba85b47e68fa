import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect, test, type Browser, type Page } from '@playwright/test';
import JSZip from 'jszip';
import { bytes } from '../../src/app/format.ts';
import { drawSample } from '../../src/dataset/sample/drawSample.ts';
import { modelDescription } from '../unit/support/modelDescription.ts';
import { staticSite, type StaticSite } from './staticSite.ts';
import {
  drop,
  expectProblem,
  fewSteps,
  goTo,
  queryOf,
  testAccuracy,
  useSample,
  watchRequests,
  zipOfSample,
} from './support.ts';

const few = queryOf(fewSteps);

/** Images of the sample as somebody would put them beside the page. */
const zipOf = (seed: number) => zipOfSample({ seed, classes: 3, train_per_class: 4, test_per_class: 1 });

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** The page in a folder of a plain static host, with more files beside it. */
async function siteWith(files: Readonly<Record<string, Answer>>): Promise<StaticSite> {
  return staticSite('dist', {
    prefix: '/lab/studio/',
    answer: (path, request, response) => {
      const answer = files[path];
      answer?.(request, response);
      return answer !== undefined;
    },
  });
}

const file =
  (content: Uint8Array): Answer =>
  ({ method }, response) => {
    response.writeHead(200, { 'content-type': 'application/zip', 'content-length': content.length });
    response.end(method === 'HEAD' ? undefined : content);
  };

const question = (page: Page) => page.getByTestId('link-question');

/** The data set of this name is in use. */
async function opened(page: Page, name: string): Promise<void> {
  await expect(page.getByRole('heading', { name, exact: true })).toBeVisible();
  await expect(page.getByRole('button', { name: 'Set up training' })).toBeVisible();
}

/** The effective configuration, as the settings panel saves it. */
async function yamlOf(page: Page): Promise<string> {
  await openSettings(page);
  await page.getByRole('tab', { name: 'YAML' }).click();
  const text = await page.getByLabel('Settings as YAML').inputValue();
  await page.keyboard.press('Escape');
  return text;
}
async function openSettings(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Settings' }).first().click();
}

test('?demo from a sub-path of a plain host: one click, and there is a trained model', async ({ page }) => {
  const asked = watchRequests(page);
  const site = await siteWith({});
  let clicks = 0;
  await page.exposeFunction('countClick', () => (clicks += 1));
  await page.addInitScript(() =>
    addEventListener('click', () => (globalThis as unknown as { countClick(): void }).countClick(), { capture: true }),
  );
  // The smallest of sets; the network, its size and rate are those of the sample.
  await page.goto(`${site.url}?demo&${few}`);
  await expect(page).toHaveURL(/#train$/, { timeout: 60_000 });
  await expect(page.getByTestId('demo')).toContainText('synthetic radiographs of invented devices');
  await page.getByRole('button', { name: 'Train 1 epoch', exact: true }).click();
  await testAccuracy(page, 120_000);
  expect(clicks).toBe(1);
  await expect(page.getByText(/tiny/i).first()).toBeVisible();

  // A reload keeps what is there and asks for nothing anew.
  await page.reload();
  await testAccuracy(page, 60_000);
  const origin = new URL(site.url).origin;
  expect(asked.filter((url) => !/^(blob|data):/.test(url) && new URL(url).origin !== origin)).toEqual([]);
  await site.close();
});

test('?demo on a phone: the button is there without scrolling', async ({ browser }) => {
  const site = await siteWith({});
  const context = await browser.newContext({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  const page = await context.newPage();
  // Settings that ask for the sample, too, bring no second one.
  await page.goto(`${site.url}?demo&data.source=sample&${few}`);
  await expect(page.getByTestId('demo')).toBeVisible({ timeout: 60_000 });
  await expect(page.getByTestId('primary-action')).toHaveText('Train 1 epoch');
  await expect(page.getByTestId('primary-action')).toBeInViewport();
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  await expect(page.getByText('already under way')).toHaveCount(0);
  await context.close();
  await site.close();
});

test('?dataset=sets/x.zip: its size first, then the download, and no second one', async ({ page }) => {
  const zip = await zipOf(11);
  const files: Record<string, Answer> = { 'sets/x.zip': file(zip) };
  const site = await siteWith(files);
  const gets = () => site.asked.filter((path) => path === 'sets/x.zip').length;
  await page.goto(`${site.url}?dataset=sets/x.zip&${few}`);
  await expect(question(page)).toContainText(bytes(zip.length));
  await expect(question(page)).toContainText('from this page’s host');
  await expect(question(page).locator('p').first()).toBeFocused();
  expect(gets()).toBe(1);
  await question(page)
    .getByRole('button', { name: /^Download/ })
    .click();
  await opened(page, 'x');
  await expect(page.locator('main')).toContainText(/15\simages/);
  await expect(question(page)).toHaveCount(0);
  expect(gets()).toBe(2);

  // Reloaded, it stays; opened anew, it is known.
  await page.reload();
  await opened(page, 'x');
  const later = await page.context().newPage();
  await later.goto(`${site.url}?dataset=sets/x.zip&${few}`);
  await expect(question(later)).toContainText('here already');
  await opened(later, 'x');
  expect(gets()).toBe(3);

  // Its host has lost it since: it is here all the same.
  delete files['sets/x.zip'];
  await later.goto(`${site.url}?dataset=sets/x.zip`);
  await expect(question(later)).toContainText('here already, and in use');
  await opened(later, 'x');

  // What is chosen while its host takes its time stays.
  let answer: () => void = () => {};
  const patience = new Promise<void>((resolve) => (answer = resolve));
  files['sets/x.zip'] = (request, response) => void patience.then(() => file(zip)(request, response));
  await later.goto(`${site.url}?dataset=sets/x.zip&data.batch_size=4`);
  await expect(question(later)).toContainText('Looking at');
  await drop(later, [{ name: 'y.zip', bytes: await zipOf(15), type: 'application/zip' }]);
  await later.getByRole('button', { name: 'Open as a new data set' }).click();
  await opened(later, 'y');
  answer();
  await expect(question(later)).toContainText('what you have chosen since stays in use');
  await opened(later, 'y');
  await later.close();
  await site.close();
});

test('a file on another host: that host is asked nothing before the user says so', async ({ page, context }) => {
  const asked = watchRequests(page);
  const site = await siteWith({});
  await page.goto(`${site.url}?dataset=https://huggingface.co/nobody/x.zip`);
  const ask = question(page).getByRole('button', { name: 'Ask huggingface.co for its size' });
  await expect(ask).toBeVisible();
  await expect(question(page).locator('p').first()).toBeFocused();
  const origin = new URL(site.url).origin;
  expect(asked.filter((url) => !/^(blob|data):/.test(url) && new URL(url).origin !== origin)).toEqual([]);
  await context.setOffline(true);
  await ask.click();
  const failed = page.locator('[data-problem^="Link"]');
  await expect(failed).toContainText('huggingface.co/nobody/x.zip');
  await expect(question(page)).toHaveCount(0);
  await site.close();
});

test('a download can be cancelled, breaks with a name, and goes through at the next try', async ({ page }) => {
  const zip = await zipOf(12);
  let half: 'stays' | 'breaks' | 'whole' = 'stays';
  const site = await siteWith({
    'x.zip': (request, response) => {
      if (request.method === 'HEAD' || half === 'whole') return file(zip)(request, response);
      response.writeHead(200, { 'content-type': 'application/zip', 'content-length': zip.length });
      response.write(zip.subarray(0, 1000), () => {
        if (half === 'breaks') response.destroy();
      });
    },
  });
  await page.goto(`${site.url}?dataset=x.zip&${few}`);
  const download = question(page).getByRole('button', { name: /^Download/ });
  await download.click();
  await expect(question(page)).toContainText(`of ${bytes(zip.length)}`);
  await question(page).getByRole('button', { name: 'Cancel the download' }).click();
  await expect(download).toBeVisible();

  half = 'breaks';
  await download.click();
  const broken = page.locator('[data-problem="DownloadBrokenError"]');
  await expect(broken).toContainText('x.zip');
  half = 'whole';
  await broken.getByRole('button', { name: 'Try again' }).click();
  await opened(page, 'x');
  await expect(broken).toHaveCount(0);
  await site.close();
});

test('links that cannot be: each named, and the page goes on', async ({ page }) => {
  const site = await siteWith({
    'big.zip': ({ method }, response) => {
      response.writeHead(200, { 'content-type': 'application/zip', 'content-length': 2_000_000_000 });
      if (method === 'HEAD') response.end();
    },
    'page.zip': ({ method }, response) => {
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end(method === 'HEAD' ? undefined : '<!doctype html>');
    },
    'down.zip': (_, response) => void response.writeHead(503).end(),
    'text.zip': file(new TextEncoder().encode('no zip, whatever its name says')),
  });
  const cases: [string, string, RegExp][] = [
    ['dmeo', 'LinkError', /did you mean demo/],
    ['training.epoch=3', 'LinkError', /did you mean training\.epochs/],
    ['training.learning_rate=-1', 'LinkError', /a number greater than 0/],
    ['dataset=none.zip', 'LinkMissingError', /none\.zip: the server answers “HTTP 404”/],
    ['dataset=page.zip', 'LinkMissingError', /a web page/],
    ['dataset=down.zip', 'LinkUnreachableError', /HTTP 503/],
    ['dataset=https://example.org/x.zip', 'HostNotAllowedError', /example\.org/],
    ['model=http://huggingface.co/x.zip', 'HostNotAllowedError', /huggingface\.co/],
    ['dataset=data:application/zip;base64,UEsDBA==', 'HostNotAllowedError', /not on a server/],
    ['dataset=big.zip', 'LinkTooLargeError', /2\.0 GB[\s\S]*drop the zip/],
    ['model=big.zip', 'LinkTooLargeError', /2\.0 GB/],
  ];
  const asked = watchRequests(page);
  for (const [query, name, words] of cases) {
    await page.goto(`${site.url}?${query}`);
    expect(await expectProblem(page, name), query).toMatch(words);
    await expect(page.getByRole('button', { name: 'Use the sample data set' })).toBeVisible();
    await expect(question(page)).toHaveCount(0);
  }
  await page.goto(`${site.url}?dataset=text.zip&demo=please&${few}`);
  await expectProblem(page, 'LinkError');
  await question(page)
    .getByRole('button', { name: /^Download/ })
    .click();
  await expectProblem(page, 'NotAZipError');
  await expect(question(page)).toHaveCount(0);
  await useSample(page);
  const origin = new URL(site.url).origin;
  expect(asked.filter((url) => !/^(blob|data):/.test(url) && new URL(url).origin !== origin)).toEqual([]);
  await site.close();
});

/** A trained model as somebody would put it beside the page; its description is written by hand. */
async function modelZip(checkpoint: Uint8Array, labels: readonly string[], schema = 1): Promise<Uint8Array> {
  const description = { ...modelDescription(checkpoint, { labels: [...labels] }), schema };
  const zip = new JSZip();
  zip.file('model/model.json', JSON.stringify(description));
  zip.file('model/weights.safetensors', checkpoint);
  return zip.generateAsync({ type: 'uint8array', compression: 'STORE' });
}

/** Label → probability for a picture, all digits. */
async function answersOf(page: Page, picture: Uint8Array): Promise<Map<string | null, number>> {
  await page
    .getByLabel('Image to try')
    .setInputFiles({ name: 'picture.png', mimeType: 'image/png', buffer: Buffer.from(picture) });
  const rows = page.locator('[data-testid=prediction] li[data-label]');
  await expect(rows.first()).toBeVisible({ timeout: 60_000 });
  const pairs = await rows.evaluateAll((list) =>
    list.map((li) => [li.getAttribute('data-label'), Number(li.getAttribute('data-probability'))] as const),
  );
  return new Map(pairs);
}

test('?model=models/m.zip: somebody’s model answers as it did where it was trained', async ({ page, browser }) => {
  const files: Record<string, Answer> = {};
  const site = await siteWith(files);
  await page.goto(`${site.url}?demo&${few}`);
  await page.getByRole('button', { name: 'Train 1 epoch', exact: true }).click({ timeout: 60_000 });
  await testAccuracy(page, 120_000);
  await goTo(page, 'Export');
  const saving = page.waitForEvent('download');
  await page.getByRole('button', { name: /^Save checkpoint/ }).click();
  const checkpoint = await readFile(await (await saving).path());
  await goTo(page, 'Try');
  const [picture] = drawSample({ seed: 99, classes: 6, train_per_class: 1, test_per_class: 1, size: 64 });
  const here = await answersOf(page, picture!.png);
  expect(here.size).toBe(6);

  const labels = [...here.keys()].filter((label) => label !== null).sort();
  files['models/m.zip'] = file(await modelZip(checkpoint, labels));
  files['models/newer.zip'] = file(await modelZip(checkpoint, labels, 99));
  files['models/images.zip'] = file(await zipOf(14));

  const other = await openElsewhere(browser, `${site.url}?model=models/m.zip`);
  await expect(question(other)).toContainText('a trained model');
  await question(other)
    .getByRole('button', { name: /^Download/ })
    .click();
  await expect(other).toHaveURL(/#try$/, { timeout: 60_000 });
  await expect(question(other)).toHaveCount(0);
  const there = await answersOf(other, picture!.png);
  expect([...there.keys()].sort()).toEqual([...here.keys()].sort());
  for (const [label, probability] of here) expect(there.get(label)).toBeCloseTo(probability, 6);

  // Opened anew it is known: nothing is downloaded again, and Try is there at once.
  const gets = site.asked.filter((path) => path === 'models/m.zip').length;
  const later = await other.context().newPage();
  await later.goto(`${site.url}?model=models/m.zip`);
  await expect(question(later)).toContainText('here already');
  await expect(later).toHaveURL(/#try$/);
  expect(site.asked.filter((path) => path === 'models/m.zip').length).toBe(gets + 1);
  await later.close();

  for (const [name, problem] of [
    ['newer', 'ModelVersionError'],
    ['images', 'NotAModelError'],
  ] as const) {
    await other.goto(`${site.url}?model=models/${name}.zip`);
    await question(other)
      .getByRole('button', { name: /^Download/ })
      .click();
    await expectProblem(other, problem);
    await expect(question(other)).toHaveCount(0);
    await expect(other.getByRole('button', { name: 'Use the sample data set' })).toBeVisible();
  }
  await other.context().close();
  await site.close();
});

test('a shared link opens another browser with the same settings', async ({ page, browser, context }) => {
  const site = await siteWith({ 'sets/my set.zip': file(await zipOf(13)) });
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: new URL(site.url).origin });

  // The sample, with changes over its own settings and a name that an address must not hold as it is.
  await page.goto(`${site.url}?demo&${few}`);
  await expect(page.getByTestId('demo')).toBeVisible({ timeout: 60_000 });
  await openSettings(page);
  const drawer = page.getByRole('dialog', { name: 'Settings' });
  await drawer.getByText('All other settings').click();
  await drawer.getByLabel('Author').fill('Ü & “B” = 100 % #1');
  await drawer.getByLabel('training.augmentation.crop_scale').fill('0.5 – 0.75');
  await drawer.getByLabel('training.augmentation.crop_scale').press('Enter');
  await drawer.getByRole('button', { name: 'Copy a link' }).click();
  await expect(drawer.getByRole('button', { name: 'Link copied' })).toBeVisible();
  await page.keyboard.press('Escape');
  const shared = await page.evaluate(() => navigator.clipboard.readText());
  expect(shared.startsWith(`${site.url}?demo&`)).toBe(true);
  expect(shared).toContain('training.augmentation.crop_scale=0.5,0.75');
  expect(shared).not.toMatch(/tiny|learning_rate|#train/);
  const other = await openElsewhere(browser, shared);
  await expect(other.getByTestId('demo')).toBeVisible({ timeout: 60_000 });
  expect(await yamlOf(other)).toBe(await yamlOf(page));
  await other.context().close();

  // A data set that came by a link is named, beside the page; one's own is not.
  await page.goto(`${site.url}?dataset=sets/my%20set.zip&training.epochs=3`);
  await question(page)
    .getByRole('button', { name: /^Download/ })
    .click();
  await opened(page, 'my set');
  expect(await copyLink(page)).toBe(`${site.url}?dataset=sets/my%20set.zip&training.epochs=3`);
  await site.close();
});

test('where the clipboard is refused, the link is there to be copied', async ({ page }) => {
  await page.addInitScript(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }));
  const site = await siteWith({});
  await page.goto(`${site.url}?training.epochs=3`);
  await openSettings(page);
  await page.getByRole('button', { name: 'Copy a link' }).click();
  const field = page.getByLabel('Link to copy');
  await expect(field).toBeFocused();
  await expect(field).toHaveValue(`${site.url}?training.epochs=3`);
  expect(await page.evaluate(() => getSelection()?.toString())).toBe(`${site.url}?training.epochs=3`);
  await site.close();
});

async function openElsewhere(browser: Browser, url: string): Promise<Page> {
  const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
  await page.goto(url);
  return page;
}

async function copyLink(page: Page): Promise<string> {
  await openSettings(page);
  await page.getByRole('button', { name: 'Copy a link' }).click();
  await expect(page.getByRole('button', { name: 'Link copied' })).toBeVisible();
  await page.keyboard.press('Escape');
  return page.evaluate(() => navigator.clipboard.readText());
}
