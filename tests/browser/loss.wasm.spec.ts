import { expect, test } from '@playwright/test';
import { fewSteps, goTo, open, testAccuracy, useSample } from './support.ts';

test('label smoothing and class weights are set on the page; a weight for a class that is not there is named, and left out', async ({
  page,
}) => {
  await open(page, { ...fewSteps, 'training.label_smoothing': 0.2, 'training.class_weights': '{"No such class": 3}' });
  await useSample(page);
  await goTo(page, 'Train');
  const loss = page.locator('details', { has: page.getByText('Loss', { exact: false }) }).first();
  await expect(loss.locator('summary')).toHaveText(/Loss\s+cross-entropy, smoothed, weighted classes$/);
  await loss.locator('summary').click();
  const train = page.getByRole('button', { name: /^Train \d+ epochs?$/ });
  await train.click();
  await expect(page.locator('[data-problem]')).toContainText('has a weight for “No such class”');
  await page.getByRole('button', { name: /^Dismiss/ }).click();
  if (!(await loss.getByLabel('Class weights').isVisible())) await loss.locator('summary').click();
  await expect(loss).toContainText('“No such class” is no class of this data set');
  await loss.getByRole('button', { name: 'Leave it out' }).click();
  await expect(loss.getByText('No such class')).toHaveCount(0);

  const kinds = loss.getByLabel('Class weights');
  await kinds.selectOption('Balanced');
  await expect(loss.locator('summary')).toContainText('balanced classes');
  await kinds.selectOption('One by one');
  // The sample has as many images of each class.
  const first = loss.getByRole('list').getByRole('textbox').first();
  await expect(first).toHaveValue('1');
  const fill = async (text: string) => {
    await first.fill(text);
    await first.press('Enter');
  };
  await fill('-2');
  await expect(first).toHaveAccessibleDescription(
    '-2 is no weight; allowed: a number from 0.000001 to 1000000. In use: 1.',
  );
  await fill('4');
  await expect(loss.getByRole('alert')).toHaveCount(0);
  const smoothing = loss.getByLabel('Label smoothing');
  await smoothing.fill('1');
  await smoothing.press('Enter');
  await expect(smoothing).toHaveAccessibleDescription(
    /allowed: a number, at least 0 and less than 1\. In use: 0\.2\.$/,
  );
  await smoothing.fill('0.1');
  await smoothing.press('Enter');

  await train.click();
  await testAccuracy(page, 60_000);
  await expect(
    page.getByText(/Trains with label smoothing 0\.1 and class weights, from 1 \(.+\) to 4 \(/),
  ).toBeVisible();
});
