import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, type Browser, type Page } from '@playwright/test';
import { staticSite } from './staticSite.ts';
import { fewSteps, goTo, open, queryOf, useSample } from './support.ts';

const GPU = 'Disguised GPU 4000';

async function showComputer(page: Page): Promise<void> {
  await page.locator('header button.device').click();
  await expect(page.getByTestId('device-label')).toBeVisible({ timeout: 60_000 });
}

const databases = (page: Page): Promise<string[]> =>
  page.evaluate(async () => (await indexedDB.databases()).map(({ name = '' }) => name));

test('a software adapter is not measured: wasm, with the reason, and nothing is kept', async ({ page }) => {
  await open(page, fewSteps);
  await showComputer(page);
  await expect(page.getByTestId('device-label')).toContainText('WebAssembly');
  await expect(page.getByText('imitation in software').first()).toBeVisible();
  await expect(page.getByTestId('device-speed')).toHaveCount(0);
  await page.getByRole('button', { name: 'Look again' }).click();
  await expect(page.getByRole('button', { name: 'Look again' })).toBeEnabled();
  await expect(page.getByTestId('device-speed')).toHaveCount(0);
  expect(await databases(page)).not.toContain('pacerid-speeds');
});

/** The page where the software adapter passes for hardware, and what was measured of it lies in the browser: measuring it takes minutes. */
async function measuredPage(browser: Browser, speeds: { webgpu: number; wasm: number }) {
  // In a block: the script's own names are as short as they get.
  const disguise = `{
    const { requestAdapter } = navigator.gpu;
    // Playwright names the page's browser otherwise than its workers'.
    Object.defineProperty(navigator, 'userAgent', { value: 'Browser/1' });
    navigator.gpu.requestAdapter = async (...options) => {
      const adapter = await requestAdapter.apply(navigator.gpu, options);
      const info = { vendor: 'none', architecture: '', device: '', description: '${GPU}', isFallbackAdapter: false };
      return Object.defineProperty(adapter, 'info', { value: info });
    };
  }\n`;
  const site = await staticSite('dist', {
    answer: (path, _request, response) => {
      if (path === 'blank') {
        response.writeHead(200, { 'content-type': 'text/html' }).end('<title>blank</title>');
        return true;
      }
      if (!/^assets\/(trainer|model)\.worker/.test(path)) return false;
      response.writeHead(200, { 'content-type': 'text/javascript' });
      response.end(disguise + readFileSync(join('dist', path), 'utf8'));
      return true;
    },
  });
  // Without its service worker the page has one thread.
  const context = await browser.newContext({ serviceWorkers: 'block', viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.goto(`${site.url}blank`);
  await page.evaluate(
    async ([description, found]) => {
      const opening = indexedDB.open('pacerid-speeds');
      opening.onupgradeneeded = () => void opening.result.createObjectStore('records');
      await new Promise((resolve) => (opening.onsuccess = resolve));
      const key = `speed/Browser/1/${JSON.stringify([1, 'none', '', description, 1])}`;
      const writing = opening.result.transaction('records', 'readwrite');
      writing.objectStore('records').put({ schema: 1, ...found }, key);
      await new Promise((resolve) => (writing.oncomplete = resolve));
      opening.result.close();
    },
    [GPU, speeds] as const,
  );
  await page.goto(`${site.url}?${queryOf({ ...fewSteps, 'model.architecture': 'tiny', 'model.pretrained': 'false' })}`);
  return { page, done: () => Promise.all([context.close(), site.close()]) };
}

test('a real GPU that was measured as the faster one is taken, and the page says by how much', async ({ browser }) => {
  const { page, done } = await measuredPage(browser, { webgpu: 2.4e11, wasm: 2e10 });
  await expect(page.locator('header button.device')).toHaveAttribute(
    'title',
    `${GPU}, 12 × as fast as the processor here`,
  );
  await showComputer(page);
  await expect(page.getByTestId('device-label')).toHaveText(GPU);
  await expect(page.getByTestId('device-speed')).toHaveText('12 × as fast as the processor here');
  await expect(page.getByRole('row', { name: /on the graphics processor/ })).toContainText('240 GFLOP/s');
  await expect(page.getByRole('row', { name: /on the processor/ })).toContainText('20 GFLOP/s');
  await page.keyboard.press('Escape');
  await useSample(page);
  await goTo(page, 'Train');
  await expect(page.getByText(`Trains on ${GPU}, 12 × as fast as the processor here`)).toBeVisible();
  await done();
});

test('one that was measured as the slower one is passed over, with the figure', async ({ browser }) => {
  const { page, done } = await measuredPage(browser, { webgpu: 1e10, wasm: 2.1e10 });
  await showComputer(page);
  await expect(page.getByTestId('device-label')).toContainText('WebAssembly');
  // The sentence below has the figure: said once.
  await expect(page.getByTestId('device-speed')).toHaveCount(0);
  await expect(
    page.getByText(`${GPU} was measured, and a training step takes 2.1 × as long there`).first(),
  ).toBeVisible();
  // It isn't the administrator's matter.
  await expect(page.getByText('chrome://gpu')).toHaveCount(0);
  await done();
});
