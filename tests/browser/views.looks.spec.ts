import { mkdir, readFile } from 'node:fs/promises';
import { expect, test, type Page } from '@playwright/test';
import JSZip from 'jszip';
import { scrollOf } from './axe.ts';
import { drop, fewSteps, goTo, open, pickFolderOf, startTraining, strict, testAccuracy, useSample } from './support.ts';

/**
 * `npm run verify -- looks`: every view in each of its states, 1440 × 900 and 390 × 844, dark and light, as pictures in output/looks
 * to be looked at. What axe-core says to them is a test of its own, axe.wasm.spec.ts.
 */
const folder = 'output/looks';
const sizes = [
  { name: 'desktop', width: 1440, height: 900 },
  { name: 'phone', width: 390, height: 844 },
] as const;

async function look(page: Page, name: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const size of sizes)
    for (const scheme of ['dark', 'light'] as const) {
      await page.setViewportSize(size);
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
      await page.screenshot({ path: `${folder}/${name}-${size.name}-${scheme}.png` });
      expect.soft(await scrollOf(page), `${name} ${size.name} scrolls as a whole`).toEqual([0, 0]);
    }
  await page.setViewportSize(sizes[0]);
}

test('every view in its states', async ({ page }) => {
  test.setTimeout(1_200_000);
  await open(page);
  for (const step of ['Data', 'Train', 'Evaluate', 'Export', 'Try', 'Versions'] as const) {
    await goTo(page, step);
    await expect(page.getByRole('heading', { name: /^Looking for/ })).toHaveCount(0);
    await look(page, `${step.toLowerCase()}-1-empty`);
  }
  await goTo(page, 'Data');
  await drop(page, [{ name: 'photos.zip', bytes: new TextEncoder().encode('no zip, whatever its name says') }]);
  await expect(page.locator('[data-problem]')).toBeVisible();
  await look(page, 'data-2-failed');
  await page.getByRole('button', { name: /^Dismiss/ }).click();
  await page.getByRole('button', { name: 'Use the sample data set' }).click();
  await look(page, 'data-3-importing');
  await expect(page.getByRole('button', { name: 'Set up training' })).toBeVisible({ timeout: 60_000 });
  await page.waitForTimeout(1500);
  await look(page, 'data-4-loaded');
  for (const [button, name] of [
    ['Settings', 'settings'],
    ['This computer', 'computer'],
    ['Keys', 'keys'],
  ] as const) {
    await page.getByRole('button', { name: button }).click();
    await page.waitForTimeout(500);
    await look(page, `panel-${name}`);
    await page.keyboard.press('Escape');
  }
  await goTo(page, 'Train');
  await page.waitForTimeout(3000);
  await look(page, 'train-2-ready');
  await page.getByRole('radio', { name: 'Head only' }).check();
  await look(page, 'train-2-head-only');
  await page.getByRole('radio', { name: 'All layers' }).check();
  await page.getByText('What it looks like').click();
  await expect(page.getByRole('img', { name: /, epoch 5$/ }).first()).toBeVisible();
  await page.getByText('What it looks like').evaluate((summary) => summary.scrollIntoView());
  await page.waitForTimeout(500);
  await look(page, 'train-7-varied');
  await page.getByText('Optimiser').click();
  await page.getByLabel('Method').selectOption('SGD');
  await page.getByLabel('Momentum').fill('abc');
  await page.getByLabel('Momentum').press('Enter');
  await page.getByLabel('Share of the area, from').fill('2');
  await page.getByLabel('Share of the area, from').press('Enter');
  await look(page, 'train-8-refused');
  await page.getByLabel('Method').selectOption('Adam');
  await page.getByText('Optimiser').click();
  await page.getByText('What it looks like').click();
  await page.getByRole('button', { name: /^Train \d+ epochs?$/ }).click();
  await expect(page.locator('main table.data tbody tr').nth(1)).toBeVisible({ timeout: 120_000 });
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.waitForTimeout(500);
  await look(page, 'train-3-working');
  await page.getByRole('button', { name: 'Continue' }).click();
  await testAccuracy(page, 300_000);
  await look(page, 'train-4-done');
  for (const step of ['Evaluate', 'Export', 'Try'] as const) {
    await goTo(page, step);
    await page.waitForTimeout(2500);
    await look(page, `${step.toLowerCase()}-2-ready`);
  }
  await page.locator('[data-test-image]').first().click();
  await expect(page.getByTestId('prediction')).toBeVisible();
  await look(page, 'try-3-done');
  await goTo(page, 'Export');
  const downloading = page.waitForEvent('download');
  await page.getByTestId('primary-action').click();
  await downloading;
  await look(page, 'export-3-done');
  await page.getByRole('button', { name: /^Check all of Test/ }).click();
  await expect(page.getByText(/^Comparing image/).first()).toBeVisible();
  await page.screenshot({ path: `${folder}/export-5-comparing-desktop-dark.png` });
  await expect(page.getByTestId('certificate')).toBeVisible({ timeout: 60_000 });
  await drop(page, [strict]);
  await page.getByTestId('primary-action').click();
  await expect(page.locator('[data-testid=certificate][data-state=failed]')).toBeVisible();
  await look(page, 'export-6-failed');
  await page.getByRole('radio', { name: 'ONNX', exact: true }).check();
  await look(page, 'export-7-earlier');
  await page.getByRole('radio', { name: 'Core ML package', exact: true }).check();
  await page.getByRole('radio', { name: 'float32', exact: true }).check();
  await page.getByTestId('primary-action').click();
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await look(page, 'export-8-cancelled');
  await goTo(page, 'Versions');
  await page.getByRole('button', { name: 'Save v1.0.0' }).click();
  await expect(page.locator('tr[data-version="v1.0.0"]')).toBeVisible({ timeout: 60_000 });
  await page.getByRole('button', { name: 'Make current' }).click();
  await look(page, 'versions-7-unproven');
});

test('training that cannot start, and many long names', async ({ page }) => {
  test.setTimeout(600_000);
  await open(page, { 'training.device': 'webgpu' });
  await page.getByRole('button', { name: 'Use the sample data set' }).click();
  await page.getByRole('button', { name: 'Set up training' }).click({ timeout: 60_000 });
  await page.getByRole('button', { name: /^Train \d+ epochs?$/ }).click();
  await page.waitForTimeout(4000);
  await look(page, 'train-5-failed');
});

test('versions, retraining, more images, checkpoints', async ({ page }) => {
  test.setTimeout(600_000);
  await pickFolderOf(page);
  await open(page, { ...fewSteps, 'training.epochs': 3 });
  await page.getByText('in three steps').click();
  await look(page, 'data-1-empty-kaggle');
  await useSample(page);
  await page.getByRole('button', { name: 'Open another' }).click();
  await look(page, 'data-5-menu');
  await startTraining(page);
  await testAccuracy(page, 60_000);
  await goTo(page, 'Versions');
  await expect(page.getByLabel('Number')).toHaveValue('v1.0.0');
  await look(page, 'versions-2-none');
  for (const version of ['v1.0.0', 'v1.1.0', 'v1.1.1']) {
    await page.getByLabel('Number').fill(version);
    await page.getByRole('button', { name: `Save ${version}` }).click();
    await expect(page.locator(`tr[data-version="${version}"]`)).toBeVisible({ timeout: 30_000 });
  }
  await page.getByRole('button', { name: 'Make current' }).click();
  await page.getByLabel('Number').fill('v1.1.0');
  await look(page, 'versions-3-listed');
  await page.getByLabel('Number').fill('v1.1.2');
  await page.getByLabel('Compare v1.1.1 with').selectOption('v1.0.0');
  await expect(page.getByTestId('comparison').locator('table')).toBeVisible();
  await look(page, 'versions-4-compared');
  await page.getByRole('button', { name: 'Close the comparison' }).click();
  await page.getByText('Files, settings and figures').click();
  await expect(page.getByTestId('version-files')).toBeVisible();
  await look(page, 'versions-5-files');
  await page.getByText('Files, settings and figures').click();
  await page.getByRole('button', { name: /^Sync v1.1.1 to a folder/ }).click();
  await expect(page.getByTestId('folder').locator('summary').first()).toBeVisible();
  await page.getByRole('button', { name: /^Sync v1.1.1 into/ }).scrollIntoViewIfNeeded();
  await look(page, 'versions-6-sync');
  await page.getByRole('button', { name: 'Change nothing' }).click();
  await goTo(page, 'Export');
  await page
    .getByRole('button', { name: /^Save checkpoint/ })
    .first()
    .scrollIntoViewIfNeeded();
  const saving = page.waitForEvent('download');
  await page
    .getByRole('button', { name: /^Save checkpoint/ })
    .first()
    .click();
  const checkpoint = await (await saving).path();
  await look(page, 'export-4-checkpoint');

  await goTo(page, 'Data');
  const packing = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Save as zip' }).click();
  const whole = await JSZip.loadAsync(await readFile(await (await packing).path()));
  const more = new JSZip();
  for (const [i, file] of Object.values(whole.files)
    .filter(({ dir }) => !dir)
    .entries()) {
    const bytes = await file.async('uint8array');
    if (i < 3) more.file(file.name, bytes);
    // The same picture with a byte behind its end is another file.
    else if (i < 12) more.file(`Train/NEW - Oak with a long name/${i}.png`, Buffer.concat([bytes, Buffer.of(i)]));
  }
  await drop(page, [
    { name: 'december.zip', bytes: await more.generateAsync({ type: 'uint8array' }) },
    { name: 'checkpoint_best.safetensors', bytes: await readFile(checkpoint) },
  ]);
  await expect(page.getByTestId('arrival')).toHaveCount(2);
  await look(page, 'data-6-asked');
  await page.getByRole('button', { name: /^Add to Sample/ }).click();
  await expect(page.getByTestId('added')).toBeVisible();
  await page.getByRole('button', { name: 'Don’t read it' }).click();
  await page.waitForTimeout(500);
  await look(page, 'data-7-added');
  await goTo(page, 'Versions');
  await page.getByRole('button', { name: /^Retrain from/ }).click();
  await expect(page.getByTestId('label-change')).toContainText('1 is new');
  await look(page, 'train-6-retrain');
});
