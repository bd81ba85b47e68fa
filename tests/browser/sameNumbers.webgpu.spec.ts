import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { expect, test, type Locator, type Page } from '@playwright/test';
import JSZip from 'jszip';
import {
  browserSession,
  fewSteps,
  goTo,
  open,
  recordPredictions,
  startTraining,
  storedEvents,
  testAccuracy,
  useSample,
} from './support.ts';

/** At a rate at which rounding is not amplified: Adam makes whole steps of gradients that are zero but for rounding. */
const rate = 1e-4;

async function trainOn(
  page: Page,
  device: 'webgpu' | 'webgl' | 'wasm',
  more: Record<string, number> = {},
): Promise<number[]> {
  await open(page, {
    ...fewSteps,
    // A temperature that fits a network that has learnt next to nothing makes its answers all alike, and a judge could tell nothing by them.
    'data.validation_split': 0,
    'training.epochs': 2,
    'training.learning_rate': rate,
    'training.device': device,
    profile: 'true',
    ...more,
  });
  const ready = page.getByRole('button', { name: 'Set up training' });
  const sample = page.getByRole('button', { name: 'Use the sample data set' });
  await expect(ready.or(sample)).toBeVisible();
  if (await sample.isVisible()) await useSample(page);
  await goTo(page, 'Train');
  const again = page.getByRole('button', { name: /new run|train again/i });
  const train = page.getByRole('button', { name: /^Train \d+ epochs?$/ });
  await expect(train.or(again)).toBeVisible();
  if (await again.isVisible()) await again.click();
  await train.click();
  await testAccuracy(page, 200_000);
  return (await storedEvents(page)).filter(({ type }) => type === 'step').map(({ loss }) => Number(loss));
}

/** Milliseconds that stand in the panel's head. */
async function timesIn(profile: Locator): Promise<number[]> {
  const text = await profile.locator('summary').innerText();
  return [...text.matchAll(/([\d,]+)\sms\b/g)].map(([, figure]) => Number(figure?.replaceAll(',', '')));
}

test('a real WebGPU adapter learns with the losses of wasm, to 1e-3, and exports', async ({ page }) => {
  const wasm = await trainOn(page, 'wasm');
  const profile = page.locator('details', { hasText: 'Where a step’s time goes' });
  await profile.locator('summary').click();
  await expect(profile).toContainText('This run can’t tell.');
  const webgpu = await trainOn(page, 'webgpu');
  await profile.locator('summary').click();
  await expect(profile.getByRole('region', { name: 'Time by kernel' })).toContainText('convFilterGradient');
  await expect(profile.getByRole('region', { name: 'Time by layer' })).toContainText('features.1.conv');
  const [inKernels = 0, inAll = 0] = await timesIn(profile);
  console.log(`step 3: ${inKernels} ms in kernels, ${inAll} ms in all`);
  expect(inKernels).toBeGreaterThan(0);
  expect(inKernels).toBeLessThan(2 * inAll);
  expect(webgpu.length).toBeGreaterThanOrEqual(6);
  expect(wasm.length).toBe(webgpu.length);
  const differences = webgpu.map((loss, i) => Math.abs(loss - (wasm[i] ?? Number.NaN)));
  console.log(
    `losses on webgpu ${webgpu.map((x) => x.toFixed(5)).join(' ')}; differences ${differences.map((x) => x.toExponential(1)).join(' ')}`,
  );
  expect(Math.max(...differences)).toBeLessThan(1e-3);
  expect(new Set(webgpu).size).toBe(webgpu.length);

  await goTo(page, 'Export');
  const downloading = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download PacerIDClassifier.mlpackage' }).click();
  await mkdir('output/e2e', { recursive: true });
  await (await downloading).saveAs('output/e2e/webgpu.zip');
  const zip = await JSZip.loadAsync(await readFile('output/e2e/webgpu.zip'));
  expect(Object.keys(zip.files)).toContain('PacerIDClassifier.mlpackage/Data/com.apple.CoreML/model.mlmodel');
  await writeFile('output/e2e/webgpu.predictions.json', await recordPredictions(page, 32));
});

test('WebGL, where the configuration asks for it, learns with the losses of wasm, to 1e-3', async ({ page }) => {
  const few = { 'training.epochs': 1 };
  const wasm = await trainOn(page, 'wasm', few);
  const webgl = await trainOn(page, 'webgl', few);
  console.log(`losses on webgl ${webgl.map((x) => x.toFixed(5)).join(' ')}`);
  expect(webgl.length).toBeGreaterThanOrEqual(3);
  expect(wasm.length).toBe(webgl.length);
  expect(Math.max(...webgl.map((loss, i) => Math.abs(loss - (wasm[i] ?? Number.NaN))))).toBeLessThan(1e-3);
  expect(new Set(webgl).size).toBe(webgl.length);
});

test('a killed GPU process ends in a resumed run', async ({ page }) => {
  await open(page, { ...fewSteps, 'training.epochs': 3, 'training.device': 'webgpu' });
  await useSample(page);
  await startTraining(page);
  await expect
    .poll(async () => (await storedEvents(page)).some(({ type }) => type === 'checkpointSaved'), { timeout: 120_000 })
    .toBe(true);
  const session = await browserSession(page);
  await session.send('Browser.crashGpuProcess');
  await testAccuracy(page, 200_000);
  // Nobody has asked for it here.
  await expect(page.getByText('Where a step’s time goes')).toHaveCount(0);
  const events = await storedEvents(page);
  expect(events.filter(({ type }) => type === 'deviceLost')).toHaveLength(1);
  const resumed = events.find(({ type }) => type === 'resumed');
  expect(resumed?.fromEpoch).toBeGreaterThanOrEqual(1);
  expect(events.at(-1)?.type).toBe('finished');
  expect(new Set(events.filter(({ type }) => type === 'epochEnded').map(({ epoch }) => epoch))).toEqual(
    new Set([1, 2, 3]),
  );
});
