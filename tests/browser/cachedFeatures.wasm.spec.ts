import { expect, test, type Page } from '@playwright/test';
import { fewSteps, goTo, open, storedEvents, testAccuracy, useSample } from './support.ts';

/** Chunks of features that IndexedDB holds. */
function chunks(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open('pacerid-features');
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error as DOMException);
    });
    const keys =
      database.objectStoreNames.length === 0
        ? []
        : await new Promise<IDBValidKey[]>((resolve) => {
            const request = database.transaction('records').objectStore('records').getAllKeys();
            request.onsuccess = () => resolve(request.result);
          });
    database.close();
    return keys.map(String).filter((key) => key.startsWith('chunk/'));
  });
}

test('the head alone: one pass that tells how far it is, epochs in a moment; found again, stopped, and deleted', async ({
  page,
}) => {
  await open(page, {
    ...fewSteps,
    'data.sample.train_per_class': 40,
    'data.img_size': 96,
    'model.architecture': 'mobilenet_v3_small',
    'model.pretrained': 'false',
    'training.layers': 'head',
    'training.epochs': 40,
  });
  await useSample(page);
  await goTo(page, 'Train');
  await expect(page.getByLabel('Augmented views')).toHaveValue('1');
  const start = page.getByRole('button', { name: 'Train 40 epochs' });

  // Stopped in the pass: no run is left, what was computed is.
  await start.click();
  const phase = page.getByText(/^Computing features: [1-9]\d* of 240\simages…$/);
  await expect(phase).toBeVisible({ timeout: 30_000 });
  await page.getByRole('button', { name: 'Stop and keep' }).click();
  await expect(start).toBeVisible();
  const early = (await chunks(page)).length;
  expect(early).toBeGreaterThan(0);

  await start.click();
  await testAccuracy(page, 60_000);
  const kept = await chunks(page);
  expect(kept.length).toBe(Math.ceil(204 / 8) + Math.ceil(36 / 8));
  const events = await storedEvents(page);
  const ended = events.filter(({ type }) => type === 'epochEnded');
  expect(ended).toHaveLength(40);
  expect(events.filter(({ type }) => type === 'checkpointSaved').length).toBeLessThan(20);

  await page.getByRole('button', { name: 'Set up a new run' }).click();
  await start.click();
  await testAccuracy(page, 60_000);
  expect(await chunks(page)).toEqual(kept);
  const losses = (of: typeof events) => of.flatMap(({ train }) => (train ? [train.loss] : []));
  expect(losses(await storedEvents(page))).toEqual(losses(events));

  await page.getByRole('button', { name: 'This computer' }).click();
  await expect(page.getByText('Kept for head-only runs')).toBeVisible();
  await page.getByRole('button', { name: 'Delete everything on this computer' }).click();
  await page.getByRole('button', { name: 'Delete everything', exact: true }).click();
  await expect(page.getByText('Nothing is stored yet.')).toBeVisible();
  expect(await chunks(page)).toEqual([]);
});
