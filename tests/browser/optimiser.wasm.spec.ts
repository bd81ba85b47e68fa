import { expect, test } from '@playwright/test';
import { expectProblem, fewSteps, goTo, open, testAccuracy, useSample } from './support.ts';

test('the optimiser is chosen on the page or by a link; what does not go together is named, and the rest counts', async ({
  page,
}) => {
  await open(page, {
    ...fewSteps,
    'training.optimizer': 'sgd',
    'training.nesterov': 'true',
    'training.momentum': 0,
    'training.learning_rate': 0.05,
  });
  expect(await expectProblem(page, 'LinkError')).toContain('training.nesterov needs a momentum');
  await useSample(page);
  await goTo(page, 'Train');
  const optimiser = page.locator('details', { has: page.getByText('Optimiser', { exact: false }) }).first();
  await expect(optimiser.locator('summary')).toHaveText(/Optimiser\s+SGD$/);
  await expect(page.getByLabel('Learning rate')).toHaveValue('0.05');
  await optimiser.locator('summary').click();

  const nesterov = page.getByRole('checkbox', { name: 'Nesterov' });
  await nesterov.click();
  await expect(nesterov).not.toBeChecked();
  await expect(nesterov).toHaveAccessibleDescription(
    'Nesterov needs a momentum: set Momentum above 0, or Nesterov to off.',
  );
  await expect(nesterov).toHaveAttribute('aria-invalid', 'true');
  const fill = async (label: string, value: string) => {
    await page.getByRole('textbox', { name: label }).fill(value);
    await page.getByRole('textbox', { name: label }).press('Enter');
  };
  await fill('Momentum', '0.8');
  await expect(optimiser.getByRole('alert')).toHaveCount(0);
  await nesterov.check();
  await fill('Weight decay', '0.001');
  await fill('Largest gradient norm', 'abc');
  await expect(page.getByRole('textbox', { name: 'Largest gradient norm' })).toHaveAccessibleDescription(
    /^Largest gradient norm is "abc"; allowed: .*, or nothing\. In use: no limit\.$/,
  );
  await fill('Largest gradient norm', '2');
  await expect(optimiser.locator('summary')).toContainText('SGD, Nesterov momentum, weight decay, clipped');
  await fill('Largest gradient norm', '');
  await expect(optimiser.locator('summary')).not.toContainText('clipped');

  await page.getByLabel('Method').selectOption('AdamW');
  await expect(nesterov).toHaveCount(0);
  await expect(page.getByRole('textbox', { name: 'Momentum' })).toHaveCount(0);
  await page.getByLabel('Method').selectOption('SGD');
  await expect(nesterov).toBeChecked();

  await page.getByRole('button', { name: /^Train \d+ epochs?$/ }).click();
  await testAccuracy(page, 60_000);
  await expect(optimiser).toHaveCount(0);
});
