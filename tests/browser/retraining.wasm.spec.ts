import { readFile } from 'node:fs/promises';
import { expect, test, type Page } from '@playwright/test';
import JSZip from 'jszip';
import sharp from 'sharp';
import { drop, fewSteps, goTo, open, startTraining, testAccuracy, useSample, watchRequests } from './support.ts';

/** Noise whose every seed is another picture. */
async function picture(seed: number): Promise<Buffer> {
  const pixels = Buffer.from(Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * (seed + 5) * 7 + seed * 31) % 256));
  return sharp(pixels, { raw: { width: 64, height: 64, channels: 3 } })
    .png()
    .toBuffer();
}

async function zipOf(files: Readonly<Record<string, Buffer>>): Promise<Uint8Array> {
  const zip = new JSZip();
  for (const [path, bytes] of Object.entries(files)) zip.file(path, bytes);
  return zip.generateAsync({ type: 'uint8array' });
}

async function downloaded(page: Page, press: () => Promise<void>): Promise<{ name: string; bytes: Buffer }> {
  const coming = page.waitForEvent('download');
  await press();
  const download = await coming;
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
}

interface StoredRun {
  readonly createdAt: number;
  readonly members?: Readonly<Record<'train' | 'val' | 'test', readonly string[]>>;
}

/** Records of all runs, oldest first, straight out of IndexedDB. */
async function storedRuns(page: Page): Promise<StoredRun[]> {
  return page.evaluate(async () => {
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open('pacerid-runs');
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error('IndexedDB does not open.'));
    });
    const records = await new Promise<StoredRun[]>((resolve, reject) => {
      const request = database
        .transaction('records')
        .objectStore('records')
        .getAll(IDBKeyRange.bound('run/', 'run/\uffff')) as IDBRequest<StoredRun[]>;
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error('IndexedDB does not answer.'));
    });
    database.close();
    return records.sort((a, b) => a.createdAt - b.createdAt);
  });
}

async function saveVersion(page: Page, version: string): Promise<void> {
  await goTo(page, 'Versions');
  await expect(page.getByLabel('Number')).toHaveValue(version);
  await page.getByRole('button', { name: `Save ${version}` }).click();
  await expect(page.locator(`tr[data-version="${version}"]`)).toBeVisible({ timeout: 30_000 });
}

test('next month’s images into last month’s model: added by keyboard, retrained from a version, compared', async ({
  page,
}) => {
  const asked = watchRequests(page);
  await open(page, fewSteps);
  await useSample(page);
  await startTraining(page);
  await testAccuracy(page, 60_000);
  await saveVersion(page, 'v1.0.0');

  await goTo(page, 'Data');
  const whole = await downloaded(page, () => page.getByRole('button', { name: 'Save as zip' }).click());
  const entries = Object.values((await JSZip.loadAsync(whole.bytes)).files).filter(({ dir }) => !dir);
  expect(entries).toHaveLength(48);
  const known = entries.find(({ name }) => name.startsWith('Train/'));
  const label = known?.name.split('/')[1] ?? '';
  const month: Record<string, Buffer> = { [`Train/${label}/again.png`]: (await known?.async('nodebuffer')) as Buffer };
  for (let i = 0; i < 3; i++) month[`Train/${label}/new-${i}.png`] = await picture(i);
  month[`Train/${label}/new-0-twice.png`] = await picture(0);
  for (let i = 0; i < 6; i++) month[`Train/NEW - Oak/${i}.png`] = await picture(100 + i);
  for (let i = 0; i < 2; i++) month[`Test/NEW - Oak/${i}.png`] = await picture(200 + i);
  await drop(page, [{ name: 'december.zip', bytes: await zipOf(month) }]);

  // The question has the focus; its first answer is one Tab away.
  const question = page.getByTestId('arrival');
  await expect(question).toContainText('december.zip'.replace('.zip', ''));
  await expect(question.locator(':focus')).toHaveCount(1);
  await page.keyboard.press('Tab');
  await expect(question.getByRole('button', { name: /^Add to Sample radiographs/ })).toBeFocused();
  await page.keyboard.press('Enter');
  const added = page.getByTestId('added');
  await expect(added).toContainText(/11\simages added from december/);
  await expect(added).toContainText(/1\sfile\s+was there already/);
  await expect(added).toContainText(/1\sfile\s+was twice in it/);
  await expect(added).toContainText('New class: NEW - Oak');
  await expect(page.getByText(/59\simages · 7\sclasses/).first()).toBeVisible();
  await expect(page.getByText('With what was added from december')).toBeVisible();
  await expect(page.getByLabel('Data set in use').locator('option')).toHaveCount(2);

  await goTo(page, 'Versions');
  await page.getByRole('button', { name: 'Retrain from v1.0.0' }).click();
  await expect(page.getByTestId('label-change')).toHaveText(
    '6 labels are known and keep what was learnt · 1 is new (NEW - Oak).',
  );
  await expect(page.getByRole('radio', { name: /^A trained model/ })).toBeChecked();
  await page.getByRole('button', { name: 'Train 1 epoch' }).click();
  await testAccuracy(page, 60_000);

  // Old Test images stay sealed, and no image that was learnt from is tested with.
  const [before, after] = await storedRuns(page);
  expect(before?.members?.test).toHaveLength(12);
  expect(after?.members?.test).toHaveLength(14);
  for (const split of ['train', 'val', 'test'] as const)
    expect(after?.members?.[split]).toEqual(expect.arrayContaining([...(before?.members?.[split] ?? [])]));

  await saveVersion(page, 'v1.1.0');
  await page.getByRole('button', { name: 'v1.1.0', exact: true }).click();
  await page.getByLabel('Compare v1.1.0 with').selectOption('v1.0.0');
  const comparison = page.getByTestId('comparison');
  await expect(comparison.getByRole('row', { name: /^Labels/ })).toContainText('+ NEW - Oak');
  await expect(comparison.getByRole('row', { name: /^Started from/ })).toContainText('v1.0.0');
  await expect(comparison).toContainText('Their Test images differ (n = 12 and n = 14)');

  const { origin } = new URL(page.url());
  expect(asked.filter((url) => !/^(blob|data):/.test(url) && new URL(url).origin !== origin)).toEqual([]);

  // The next number is for the run that is chosen: the older one has a label less than v1.1.0.
  const runs = page.getByLabel('Model', { exact: true });
  await expect(page.getByLabel('Number')).toHaveValue('v1.1.1');
  await runs.selectOption({ index: 1 });
  await expect(page.getByLabel('Number')).toHaveValue('v1.2.0');
  await runs.selectOption({ index: 0 });
  await expect(page.getByLabel('Number')).toHaveValue('v1.1.1');
});

test('images are added to the split that the newest run really had, not to the one that its settings would draw', async ({
  page,
}) => {
  await open(page, fewSteps);
  await useSample(page);
  await startTraining(page);
  await testAccuracy(page, 60_000);
  // Another seed of the split, but a model that was trained with the first.
  await open(page, { ...fewSteps, 'data.seed': 7 });
  await goTo(page, 'Train');
  await page.getByRole('button', { name: 'Set up a new run' }).click();
  await page.getByRole('radio', { name: /^A trained model/ }).check();
  await expect(page.getByTestId('label-change')).toHaveText('6 labels are known and keep what was learnt.');
  await page.getByRole('button', { name: 'Train 1 epoch' }).click();
  await testAccuracy(page, 60_000);

  await drop(page, [{ name: 'one.zip', bytes: await zipOf({ 'Train/NEW - Oak/0.png': await picture(1) }) }]);
  await page
    .getByTestId('arrival')
    .getByRole('button', { name: /^Add to Sample/ })
    .click();
  await expect(page.getByTestId('added')).toContainText(/1\simage added from one/);
  await goTo(page, 'Train');
  await page.getByRole('button', { name: 'Set up a new run' }).click();
  await page.getByRole('radio', { name: /^Random numbers/ }).check();
  await page.getByRole('button', { name: 'Train 1 epoch' }).click();
  await testAccuracy(page, 60_000);
  const [first, second, third] = await storedRuns(page);
  expect(second?.members).toEqual(first?.members);
  expect(third?.members?.val).toEqual(first?.members?.val);
  expect(third?.members?.test).toEqual(first?.members?.test);
  expect(third?.members?.train).toHaveLength((first?.members?.train.length ?? 0) + 1);
});

test('a model learnt from images of another size: what is set so that it fits is said', async ({ page }) => {
  await open(page, fewSteps);
  await useSample(page);
  await startTraining(page);
  await testAccuracy(page, 60_000);
  await page.getByRole('button', { name: 'Set up a new run' }).click();
  await page.getByLabel('Image size').fill('48');
  await page.getByLabel('Image size').press('Enter');
  await page.getByRole('radio', { name: /^MobileNetV3/ }).check();
  await page.getByRole('radio', { name: /^A trained model/ }).check();
  await expect(page.getByTestId('carried')).toContainText('the network is tiny (was mobilenet_v3_small)');
  await expect(page.getByTestId('carried')).toContainText('images are 32 pixels (were 48)');
  await expect(page.getByLabel('Image size')).toHaveValue('32');
  await expect(page.getByRole('radio', { name: /^tiny/ })).toBeChecked();
  await expect(page.getByLabel('Trained model to start from').locator('option')).toHaveText(/on Test, n = 12$/);
});

test('zips dropped beside a data set wait for an answer, all of them, wherever one goes', async ({ page }) => {
  await open(page, fewSteps);
  await useSample(page);
  const zips = await Promise.all(
    [1, 2].map(async (n) => ({
      name: `set${n}.zip`,
      bytes: await zipOf({
        'A/0.png': await picture(n),
        'A/1.png': await picture(10 + n),
        'B/0.png': await picture(20 + n),
        'B/1.png': await picture(30 + n),
      }),
    })),
  );
  await drop(page, zips);
  await expect(page.getByTestId('arrival')).toHaveCount(2);
  await goTo(page, 'Train');
  await expect(page.getByTestId('arrival')).toHaveCount(2);
  await page.getByTestId('arrival').nth(0).getByRole('button', { name: 'Open as a new data set' }).click();
  await expect(page.getByRole('heading', { name: 'set1' })).toBeVisible();
  await page.getByTestId('arrival').getByRole('button', { name: 'Don’t read it' }).click();
  await expect(page.getByTestId('arrival')).toHaveCount(0);
  await expect(page.getByLabel('Data set in use').locator('option')).toHaveCount(2);
});

test('a checkpoint goes to another computer: opened as a run it gives the same weights; or another run starts from it', async ({
  page,
  browser,
}) => {
  await open(page, { ...fewSteps, 'training.epochs': 2 });
  await useSample(page);
  await startTraining(page);
  const accuracy = await testAccuracy(page, 60_000);
  await goTo(page, 'Export');
  const checkpoint = await downloaded(page, () =>
    page
      .getByRole('button', { name: /^Save checkpoint of epoch \d, the best/ })
      .first()
      .click(),
  );
  const asWeights = (from: Page) =>
    downloaded(from, async () => {
      await from.getByRole('radio', { name: 'Weights alone' }).check();
      await from.getByRole('button', { name: 'Download PacerIDClassifier.safetensors' }).click();
    });
  const here = await asWeights(page);

  const elsewhere = await (await browser.newContext()).newPage();
  await open(elsewhere, fewSteps);
  await drop(elsewhere, [checkpoint]);
  await elsewhere.getByTestId('arrival').getByRole('button', { name: 'Open as a run' }).click();
  await expect(elsewhere.getByText(/^Epoch/).first()).toBeVisible();
  await expect(elsewhere.getByText('It was not judged on Test')).toBeVisible();
  await goTo(elsewhere, 'Export');
  const there = await asWeights(elsewhere);
  const tensors = ({ bytes }: { bytes: Buffer }) => bytes.subarray(8 + Number(bytes.readBigUInt64LE(0)));
  expect(tensors(there).equals(tensors(here))).toBe(true);

  // With its data set it can be judged there, on the same images.
  await goTo(elsewhere, 'Data');
  await useSample(elsewhere);
  await goTo(elsewhere, 'Evaluate');
  await expect(elsewhere.locator('[data-split="val"]')).toBeVisible({ timeout: 30_000 });
  // A checkpoint says nothing about Test: there it is sealed until somebody asks.
  await expect(elsewhere.getByText('Test is still sealed.')).toBeVisible();
  await expect(elsewhere.locator('[data-split="test"]')).toHaveCount(0);
  await elsewhere.getByRole('button', { name: /on Test now$/ }).click();
  await expect(elsewhere.locator('[data-split="test"]')).toHaveAttribute('data-accuracy', /./, { timeout: 30_000 });
  const again = Number(await elsewhere.locator('[data-split="test"]').getAttribute('data-accuracy'));
  expect(again).toBeCloseTo(accuracy, 2);

  await goTo(elsewhere, 'Train');
  await elsewhere.getByRole('button', { name: 'Set up a new run' }).click();
  await elsewhere.getByLabel('Image size').fill('40');
  await elsewhere.getByLabel('Image size').press('Enter');
  await drop(elsewhere, [checkpoint]);
  await elsewhere.getByTestId('arrival').getByRole('button', { name: 'Use as starting weights' }).click();
  await expect(elsewhere.getByTestId('label-change')).toHaveText('6 labels are known and keep what was learnt.');
  await expect(elsewhere.getByTestId('carried')).toContainText('images are 32 pixels (were 40)');
  await elsewhere.getByRole('button', { name: 'Train 1 epoch' }).click();
  await testAccuracy(elsewhere, 60_000);

  // Plain weights are no checkpoint: they are taken without a question.
  await elsewhere.getByRole('button', { name: 'Set up a new run' }).click();
  await drop(elsewhere, [here]);
  await expect(elsewhere.getByRole('radio', { name: here.name })).toBeChecked();
  await expect(elsewhere.getByTestId('arrival')).toHaveCount(0);
});
