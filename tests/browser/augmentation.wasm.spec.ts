import { expect, test, type Page } from '@playwright/test';
import { fewSteps, goTo, open, useSample } from './support.ts';

const EPOCHS = 5;

/** What each picture shows, in the order shown. */
async function pictures(page: Page): Promise<string[]> {
  await expect(page.getByTestId('augmentation-preview')).toHaveAttribute('aria-busy', 'false');
  return page
    .locator('[data-epoch] canvas')
    .evaluateAll((all) => all.map((canvas) => (canvas as HTMLCanvasElement).toDataURL()));
}
/** Until something other than `before` is shown. */
async function changed(page: Page, before: readonly string[]): Promise<string[]> {
  await expect.poll(() => pictures(page)).not.toEqual(before);
  return pictures(page);
}

test('what augmentation does is seen on the data set’s own training images, follows its settings, and says where they are gone', async ({
  page,
}) => {
  await open(page, fewSteps);
  await useSample(page);
  await goTo(page, 'Train');
  await expect(page.getByTestId('augmentation-preview')).toHaveCount(0);
  await page.getByText('What it looks like').click();
  const preview = page.getByTestId('augmentation-preview');
  const shown = page.locator('[data-epoch] canvas');
  await expect(shown).toHaveCount(3 * (1 + EPOCHS));
  await expect(preview).not.toContainText('Test/');
  const first = await pictures(page);
  expect(new Set(first).size).toBe(first.length);
  await expect(preview.getByRole('img', { name: /, epoch 5$/ })).toHaveCount(3);

  const turn = page.getByRole('textbox', { name: 'Turn, ±' });
  await turn.fill('45');
  await turn.press('Enter');
  const turned = await changed(page, first);
  // How they are judged stays; epochs have changed, but for a draw so near 0° that no pixel has another one nearest.
  const same = turned.flatMap((picture, i) => (picture === first[i] ? [i] : []));
  expect(same.filter((i) => i % 6 === 0)).toEqual([0, 6, 12]);
  expect(same.length).toBeLessThanOrEqual(3 + 2);

  const from = page.getByRole('textbox', { name: 'Share of the area, from' });
  await from.fill('2');
  await from.press('Enter');
  await expect(page.getByRole('alert').filter({ hasText: 'Share of the area is [2, 1]' })).toContainText(
    'In use: 0.9 – 1.',
  );
  await expect(page.locator('main')).not.toContainText('training.');
  await expect(from).toHaveAccessibleDescription(/^Share of the area is .* two numbers, the smaller first/);
  await expect(from).toHaveAttribute('aria-invalid', 'true');
  await expect(page.getByRole('textbox', { name: 'Share of the area, to' })).toHaveAttribute('aria-invalid', 'false');
  await page.getByRole('button', { name: 'Back to the defaults' }).click();
  expect(await changed(page, turned)).toEqual(first);
  await expect(from).toHaveValue('0.9');
  await expect(page.getByRole('button', { name: 'Back to the defaults' })).toHaveCount(0);

  await page.getByRole('checkbox', { name: 'Vary the images a little each time' }).uncheck();
  const plain = await changed(page, first);
  for (let row = 0; row < 3; row++) expect(new Set(plain.slice(row * 6 + 1, row * 6 + 6)).size).toBe(1);
  await expect(preview).toContainText('Off');

  await page.getByRole('button', { name: 'Other images' }).click();
  await changed(page, plain);
  await expect(preview).toContainText(/4 to 6 of 30\straining images/);

  // The last of 30; of 18 they are the tenth to the twelfth.
  for (let i = 0; i < 8; i++) await page.getByRole('button', { name: 'Other images' }).click();
  await expect(preview).toContainText(/28 to 30 of 30\straining images/);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByLabel('Validation, share of Train').fill('0.5');
  await page.getByLabel('Validation, share of Train').press('Enter');
  await page.keyboard.press('Escape');
  await expect(preview).toContainText(/10 to 12 of 18\straining images/);

  await deleteDataset(page);
  await page.getByRole('button', { name: 'Other images' }).click();
  const alert = page.getByRole('alert').filter({ hasText: 'is not on this computer' });
  await expect(alert).toContainText('Import it again');
  await expect(alert.getByRole('button', { name: 'Try again' })).toBeVisible();
});

/** As another tab does it. */
async function deleteDataset(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const opening = indexedDB.open('pacerid-datasets');
    await new Promise((resolve) => (opening.onsuccess = resolve));
    const deleting = opening.result.transaction('records', 'readwrite');
    deleting.objectStore('records').delete(IDBKeyRange.bound('dataset/', 'dataset/~'));
    await new Promise((resolve) => (deleting.oncomplete = resolve));
    opening.result.close();
  });
}
