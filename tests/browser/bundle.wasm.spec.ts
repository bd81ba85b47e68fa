import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { startProcess } from '../unit/support/cli.ts';
import { serve, serversHere } from '../unit/hosting/offlineFolder.ts';
import { fewSteps, queryOf, startTraining, storedEvents, testAccuracy, useSample, watchRequests } from './support.ts';
import { otherNetwork } from './weightFiles.ts';

let home = '';
let out = '';
test.beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'pacerid-bundle-'));
  out = join(home, 'pacerid-offline');
  const made = await startProcess(process.execPath, ['scripts/bundle.mjs', '--weights', 'none', '--out', out]).ended;
  expect(made.code, made.stderr).toBe(0);
});
test.afterAll(() => rmSync(home, { recursive: true, force: true }));

for (const kind of serversHere())
  test(`from a folder on a stick, served by ${kind.name}: the page opens, is isolated, and works offline`, async ({
    page,
    context,
  }) => {
    const asked = watchRequests(page);
    // What a policy refuses, a type that doesn't fit, a file that isn't there: Chromium says each as an error.
    const errors: string[] = [];
    page.on('console', (message) => void (message.type() === 'error' && errors.push(message.text())));
    const serving = await serve(out, kind);
    await page.goto(serving.url);
    await expect(page.getByTestId('offline')).toBeVisible({ timeout: 60_000 });
    expect(await page.evaluate(() => [isSecureContext, crossOriginIsolated, 'serviceWorker' in navigator])).toEqual([
      true,
      true,
      true,
    ]);
    expect(errors).toEqual([]);

    serving.process.kill();
    await context.setOffline(true);
    await page.reload();
    await useSample(page);
    await context.setOffline(false);
    expect(asked.filter((url) => !url.startsWith(serving.url) && !/^(blob|data):/.test(url))).toEqual([]);
  });

test('weights that lie beside the page are what a run starts from', async ({ page }) => {
  mkdirSync(join(out, 'page', 'weights'), { recursive: true });
  writeFileSync(join(out, 'page', 'weights', 'tiny.safetensors'), otherNetwork());
  const [kind] = serversHere();
  if (kind === undefined) throw new Error('There is Node at least.');
  const serving = await serve(out, kind);
  const settings = { ...fewSteps, 'model.architecture': 'tiny', 'model.pretrained': 'true', 'training.layers': 'head' };
  await page.goto(`${serving.url}?${queryOf(settings)}`);
  await useSample(page);
  await startTraining(page);
  await testAccuracy(page, 60_000);
  const origins = (await storedEvents(page)).filter(({ type }) => type === 'weightsReady');
  expect(JSON.stringify(origins)).toContain('tiny.safetensors from this page’s host');
  serving.process.kill();
});
