import { expect, test } from '@playwright/test';
import { BlobWriter, TextReader, Uint8ArrayReader, ZipWriter } from '@zip.js/zip.js';
import sharp from 'sharp';
import { drop, expectProblem, fewSteps, goTo, open, startTraining, useSample } from './support.ts';

type Files = Readonly<Record<string, Uint8Array | string>>;

async function zipOf(files: Files, password?: string): Promise<Uint8Array> {
  const writer = new ZipWriter(new BlobWriter('application/zip'), password === undefined ? {} : { password });
  for (const [path, content] of Object.entries(files))
    await writer.add(path, typeof content === 'string' ? new TextReader(content) : new Uint8ArrayReader(content));
  return new Uint8Array(await (await writer.close()).arrayBuffer());
}

const jpeg = async (seed: number): Promise<Uint8Array> =>
  sharp(Buffer.from(Array.from({ length: 48 * 48 * 3 }, (_, i) => (i * (seed + 3) * 7 + seed * 31) % 256)), {
    raw: { width: 48, height: 48, channels: 3 },
  })
    .jpeg()
    .toBuffer();

async function images(prefix: string, n: number, seed: number): Promise<Record<string, Uint8Array>> {
  const entries = await Promise.all(
    Array.from({ length: n }, async (_, i) => [`${prefix}/${i}.jpg`, await jpeg(seed * 100 + i)] as const),
  );
  return Object.fromEntries(entries);
}

const good = async (): Promise<Record<string, Uint8Array>> => ({
  ...(await images('Train/MDT - Azure', 4, 1)),
  ...(await images('Train/BSC - Ingenio', 4, 2)),
  ...(await images('Test/MDT - Azure', 1, 3)),
  ...(await images('Test/BSC - Ingenio', 1, 4)),
});

test('archives that cannot be used: each says what happened, and the page goes on', async ({ page }) => {
  await open(page, fewSteps);
  const whole = await zipOf(await good());
  const cases: [string, Uint8Array, string][] = [
    ['notazip.zip', new TextEncoder().encode('this is not a zip at all, whatever its name says'), 'NotAZipError'],
    ['cut.zip', whole.slice(0, Math.floor(whole.length * 0.6)), 'TruncatedZipError'],
    ['secret.zip', await zipOf(await good(), 'secret'), 'EncryptedZipError'],
    ['texts.zip', await zipOf({ 'a/readme.txt': 'no images', 'b/notes.txt': 'here' }), 'NoImagesError'],
    ['one.zip', await zipOf(await images('Train/MDT - Azure', 4, 1)), 'OneClassError'],
  ];
  for (const [name, bytes, error] of cases) {
    await drop(page, [{ name, bytes, type: 'application/zip' }]);
    await expectProblem(page, error);
  }
  // Still usable: a good one afterwards.
  await drop(page, [{ name: 'good.zip', bytes: whole, type: 'application/zip' }]);
  await expect(page.getByRole('button', { name: 'Set up training' })).toBeVisible();
  await expect(page.getByRole('heading', { name: 'good' })).toBeVisible();
});

test('broken files among good ones are listed, the good ones are kept', async ({ page }) => {
  await open(page, fewSteps);
  const corrupt = (await jpeg(9)).slice(0, 300);
  const bytes = await zipOf({
    ...(await good()),
    'Train/MDT - Azure/corrupt.jpg': corrupt,
    'Train/MDT - Azure/text.jpg': 'a text file that calls itself an image',
    'Train/STJ - Single/only.jpg': await jpeg(50),
    'Test/SOR - Unknown/0.jpg': await jpeg(51),
    '../outside/evil.jpg': await jpeg(52),
    '__MACOSX/Train/MDT - Azure/._0.jpg': 'resource fork',
    'Train/MDT - Azure/.DS_Store': 'x',
  });
  await drop(page, [{ name: 'mixed.zip', bytes, type: 'application/zip' }]);
  await expect(page.getByRole('heading', { name: 'mixed' })).toBeVisible();
  await expect(page.getByText('corrupt.jpg')).toBeVisible();
  const text = await page.locator('main').textContent();
  for (const words of ['corrupt.jpg', 'text.jpg', 'evil.jpg', 'SOR - Unknown', 'STJ - Single'])
    expect(text).toContain(words);
  expect(text).not.toContain('.DS_Store');
  expect(text).toMatch(/11\simages/);
});

test('settings that cannot be: path, what is allowed, line', async ({ page }) => {
  await open(page, fewSteps);
  const cases: [string, RegExp][] = [
    ['training:\n  epoch: 3\n', /line 2: training\.epoch is no setting; did you mean training\.epochs/],
    ['data:\n  batch_size: many\n', /line 2: data\.batch_size[\s\S]*allowed: /],
    ['training:\n  learning_rate: -0.1\n', /line 2: training\.learning_rate[\s\S]*allowed: a number greater than 0/],
  ];
  for (const [yaml, words] of cases) {
    await drop(page, [{ name: 'mine.yaml', bytes: new TextEncoder().encode(yaml), type: 'text/yaml' }]);
    const panel = page.locator('[data-problem="ConfigError"]').first();
    await expect(panel).toBeVisible();
    expect(await panel.innerText()).toMatch(words);
    await panel.getByRole('button', { name: /^Dismiss/ }).click();
  }
  await expect(page.getByRole('button', { name: 'Use the sample data set' })).toBeVisible();
});

test('an override in the address that cannot be is named too', async ({ page }) => {
  await open(page, { 'training.learning_rate': -1 });
  expect(await expectProblem(page, 'LinkError')).toMatch(/training\.learning_rate/);
});

test('WebGPU asked for where there is none', async ({ page }) => {
  await open(page, { ...fewSteps, 'training.device': 'webgpu' });
  await useSample(page);
  await startTraining(page);
  const told = page.locator('[data-problem="NoWebGpuError"], [data-error="NoWebGpuError"]').first();
  await expect(told).toBeVisible({ timeout: 60_000 });
  await goTo(page, 'Data');
  await expect(page.getByRole('button', { name: 'Set up training' })).toBeVisible();
});

test('no room on the disk: said, nothing half-stored, usable after', async ({ page }) => {
  await open(page, fewSteps);
  const session = await page.context().newCDPSession(page);
  const origin = new URL(page.url()).origin;
  await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 150_000 });
  await page.getByRole('button', { name: 'Use the sample data set' }).click();
  await expectProblem(page, 'StorageFullError', 60_000);
  await session.send('Storage.overrideQuotaForOrigin', { origin });
  await useSample(page);
});

test('weights of another network, and weights whose batch norms were folded away', async ({ page }) => {
  await open(page, { ...fewSteps, 'model.architecture': 'mobilenet_v3_small' });
  await useSample(page);
  await goTo(page, 'Train');
  const { otherNetwork, foldedAway } = await import('./weightFiles.ts');
  await drop(page, [{ name: 'other.safetensors', bytes: otherNetwork() }]);
  await expectProblem(page, 'WrongArchitectureError');
  await drop(page, [{ name: 'folded.safetensors', bytes: foldedAway() }]);
  await expect(page.getByText('folded.safetensors').first()).toBeVisible();
  await page.getByRole('button', { name: /^Train \d+ epochs?$/ }).click();
  const told = page.locator('[data-problem="FoldedBatchNormError"], [data-error="FoldedBatchNormError"]').first();
  await expect(told).toBeVisible({ timeout: 60_000 });
});
