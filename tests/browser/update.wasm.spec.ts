import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { build } from 'vite';
import { expectNoViolation } from './axe.ts';
import { staticSite } from './staticSite.ts';
import { fewSteps, goTo, queryOf, startTraining, storedEvents, testAccuracy, useSample } from './support.ts';

/** The page built once more, so that every script and the document are other files under other names. */
async function secondBuild(folder: string): Promise<void> {
  const mark = 'a newer build';
  await build({
    logLevel: 'error',
    build: { outDir: folder, emptyOutDir: true, rolldownOptions: { output: { banner: `/* ${mark} */` } } },
    plugins: [
      {
        name: 'mark',
        transformIndexHtml: () => [{ tag: 'meta', attrs: { name: 'build', content: mark }, injectTo: 'head' }],
      },
    ],
  });
}

test('a build deployed in mid-run waits for the run, for other tabs and for the user; nothing stored is lost', async ({
  page,
  context,
}) => {
  const folder = await mkdtemp(join(tmpdir(), 'pacerid-build-'));
  await secondBuild(folder);
  const site = await staticSite('dist');
  const query = queryOf({ ...fewSteps, 'data.sample.train_per_class': 20, 'training.epochs': 400 });
  const address = `${site.url}?${query}`;
  await page.goto(address);
  await expect(page.getByTestId('offline')).toBeVisible({ timeout: 60_000 });
  await useSample(page);
  await startTraining(page);
  await expect
    .poll(async () => (await storedEvents(page)).filter(({ type }) => type === 'epochEnded').length, {
      timeout: 60_000,
    })
    .toBeGreaterThan(0);

  site.serve(folder);
  // Whoever opens the page now still gets the older one, whole; the browser meanwhile finds the newer one.
  const other = await context.newPage();
  await other.goto(address);
  await expect(other.getByRole('heading', { level: 1 }).first()).toBeVisible();
  await expect(other.locator('meta[name=build]')).toHaveCount(0);
  const notice = page.getByTestId('update');
  await expect(notice).toBeVisible({ timeout: 60_000 });
  await expect(notice).toContainText('It waits until what is under way here is over');
  await expect(notice.getByRole('button')).toBeDisabled();

  await page.getByRole('button', { name: /^Stop/ }).click();
  await testAccuracy(page, 60_000);
  const before = await storedEvents(page);
  await notice.getByRole('button', { name: 'Update and reload' }).click();
  await expect(notice).toContainText('Close it, then update');
  await expectNoViolation(page, 'an update that waits for another tab');
  await expect(page.locator('meta[name=build]')).toHaveCount(0);
  await other.close();

  await notice.getByRole('button', { name: 'Update and reload' }).click();
  await expect(page.locator('meta[name=build]')).toHaveCount(1, { timeout: 30_000 });
  await expect(page.getByTestId('offline')).toBeVisible({ timeout: 30_000 });
  await expect(notice).toBeHidden();
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  await goTo(page, 'Data');
  await expect(page.getByRole('heading', { name: /Sample radiographs/ })).toBeVisible();
  await goTo(page, 'Try');
  await page.locator('[data-test-image]').first().click();
  await expect(page.getByTestId('prediction')).toBeVisible();
  expect(await storedEvents(page)).toEqual(before);

  // Of the older build nothing is left in the cache.
  const kept = await page.evaluate(
    async () => (await (await caches.open(`pacerid-page ${new URL('.', location.href).href}`)).keys()).length,
  );
  const files = await page.evaluate(
    async () => (await (await fetch('./serviceWorker.js')).text()).match(/"integrity":/g)?.length,
  );
  expect(kept).toBe(files);
  await site.close();
  await rm(folder, { recursive: true, force: true });
});
