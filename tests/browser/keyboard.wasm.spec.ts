import { expect, test } from '@playwright/test';
import { expectFocus, tabRound, tabTo } from './keyboard.ts';
import { fewSteps, open } from './support.ts';

// A failure says what Tab passed; a trace of every key would take as long as the rest.
test.use({ trace: 'off' });

/** The whole path with the keyboard alone: nothing here points, clicks, or puts focus anywhere. */
test('from images to a version, and everything deleted again, by keyboard alone', async ({ page }) => {
  const press = (key: string): Promise<void> => page.keyboard.press(key);
  await open(page, fewSteps);

  await test.step('Data', async () => {
    await expect(page.getByRole('heading', { name: /^Drop a zip/ })).toBeVisible();
    await tabTo(page, 'link', 'Skip to the step');
    await press('Enter');
    await expect(page.getByRole('main')).toBeFocused();
    await tabRound(page);
    const choosing = page.waitForEvent('filechooser');
    await tabTo(page, 'button', 'Choose a zip');
    await press('Enter');
    await (await choosing).setFiles({ name: 'no.zip', mimeType: 'application/zip', buffer: Buffer.from('no zip') });
    await expect(page.locator('[data-problem=NotAZipError]')).toBeVisible();
    await tabTo(page, 'button', /^Dismiss/, 'Shift+Tab');
    await press('Enter');
    await expectFocus(page, 'heading', /^Drop a zip/);
    await tabTo(page, 'button', 'Use the sample data set');
    await press('Space');
    await expectFocus(page, 'heading', /^Sample radiographs/);
  });

  await test.step('images', async () => {
    await tabRound(page);
    await tabTo(page, 'button', 'Add images');
    await press('Enter');
    await press('ArrowDown');
    await expectFocus(page, 'button', 'From a zip');
    await press('Escape');
    await expectFocus(page, 'button', 'Add images');
    await expect(page.getByRole('button', { name: 'From a zip' })).toBeHidden();
    await tabTo(page, 'button', 'Save as zip');
    const packing = page.waitForEvent('download');
    await press('Enter');
    await packing;
    await expectFocus(page, 'button', 'Save as zip');
    await tabTo(page, 'button', /, Test$/);
    await press('ArrowRight');
    await expect(page.locator('[data-at="1"]')).toBeFocused();
    await press('Enter');
    const dialog = page.getByRole('dialog', { name: 'Image' });
    await expect(dialog.getByRole('img')).toBeVisible();
    await tabRound(page);
    await tabTo(page, 'button', 'Previous');
    await press('Enter');
    await expect(dialog).toContainText('1 of 48');
    await expectFocus(page, 'button', 'Previous');
    await press('ArrowRight');
    await expect(dialog).toContainText('2 of 48');
    await press('Escape');
    await expect(dialog).toBeHidden();
    await expect(page.locator('[data-at="1"]')).toBeFocused();
  });

  await test.step('Train', async () => {
    await tabTo(page, 'button', 'Set up training');
    await press('Enter');
    await expectFocus(page, 'heading', 'Train');
    await tabRound(page);
    await tabTo(page, 'radio', /^tiny/);
    await press('ArrowUp');
    await expectFocus(page, 'radio', /^MobileNetV3-Small/);
    await expect(page.getByRole('radio', { name: /^MobileNetV3-Small/ })).toBeChecked();
    await press('ArrowDown');
    await expect(page.getByRole('radio', { name: /^tiny/ })).toBeChecked();
    await tabTo(page, 'textbox', 'Epochs');
    await press('ControlOrMeta+a');
    await page.keyboard.type('0');
    await press('Enter');
    await expect(page.getByRole('alert').filter({ hasText: 'In use: 1.' })).toBeVisible();
    await expectFocus(page, 'textbox', 'Epochs');
    await press('ControlOrMeta+a');
    await page.keyboard.type('200');
    await press('Enter');
    await tabTo(page, 'textbox', 'Learning rate');
    await press('Tab');
    await press('Enter');
    await tabTo(page, 'combobox', 'Method');
    await page.keyboard.type('SGD');
    await tabTo(page, 'checkbox', 'Nesterov');
    await press('Space');
    await expect(page.getByText('SGD, Nesterov momentum')).toBeVisible();
    await tabRound(page);
    await tabTo(page, 'combobox', 'Method');
    await page.keyboard.type('Adam');
    await expect(page.getByRole('textbox', { name: 'Momentum' })).toHaveCount(0);
    await tabTo(page, 'checkbox', 'Vary the images a little each time');
    await press('Tab');
    await press('Enter');
    await expect(page.getByRole('img', { name: /, epoch 5$/ })).toHaveCount(3);
    await tabRound(page);
    await tabTo(page, 'button', 'Other images');
    await press('Enter');
    await expect(page.getByTestId('augmentation-preview')).toContainText('4 to 6 of');
    await expectFocus(page, 'button', 'Other images');
    await tabTo(page, 'textbox', 'Turn, ±');
    await press('ControlOrMeta+a');
    await page.keyboard.type('20');
    await press('Enter');
    await tabTo(page, 'button', 'Back to the defaults');
    await press('Enter');
    await expect(page.getByRole('textbox', { name: 'Turn, ±' })).toHaveValue('5');
    await tabTo(page, 'button', 'Train 200 epochs');
    await press('Enter');
    await expect(page.getByRole('button', { name: 'Pause' })).toHaveAttribute('aria-disabled', 'false');
    await expectFocus(page, 'button', 'Pause');
    await press('Enter');
    await expectFocus(page, 'button', 'Continue');
    await tabRound(page);
    await press('l');
    await expect(page.getByRole('button', { name: 'Linear scale' })).toBeVisible();
    await tabTo(page, 'button', 'Continue');
    await press('Enter');
    await expectFocus(page, 'button', 'Pause');
    await tabTo(page, 'button', 'Stop and keep', 'Shift+Tab');
    await press('Enter');
    await expect(page.getByTestId('test-accuracy')).toBeVisible({ timeout: 60_000 });
    await expectFocus(page, 'button', 'See how good it is');
    await tabTo(page, 'application', /^Loss over epochs/);
    await press('ArrowLeft');
    await expect(page.locator('figcaption').first()).toContainText(/Epoch \d+/);
    await tabRound(page);
  });

  await test.step('Evaluate', async () => {
    await press('3');
    await expectFocus(page, 'heading', 'Evaluate');
    await tabTo(page, 'application', /^Confusion matrix/);
    await press('ArrowRight');
    await press('Enter');
    await expect(page.getByRole('button', { name: 'Back to the mistakes' })).toBeVisible();
    await tabRound(page);
    await tabTo(page, 'button', 'Back to the mistakes');
    await press('Enter');
    await expect(page.getByRole('heading', { name: 'Surest mistakes' })).toBeVisible();
  });

  await test.step('Export', async () => {
    await press('4');
    await expectFocus(page, 'heading', 'Export');
    await tabTo(page, 'radio', 'Core ML package');
    await press('ArrowDown');
    await expectFocus(page, 'radio', 'Core ML model file');
    await press('ArrowUp');
    await tabTo(page, 'radio', /^auto/);
    await press('ArrowDown');
    await expectFocus(page, 'radio', 'float16');
    await tabTo(page, 'button', /^Download PacerIDClassifier/);
    const downloading = page.waitForEvent('download');
    await press('Enter');
    expect((await downloading).suggestedFilename()).toBe('PacerIDClassifier.mlpackage.zip');
    await expectFocus(page, 'button', /^Download PacerIDClassifier/);
    await expect(page.getByTestId('certificate')).toHaveAttribute('data-state', 'passed');
    await tabRound(page);
    // A choice is no text: digits lead on from there.
    await tabTo(page, 'radio', 'Core ML package');
  });

  await test.step('Try', async () => {
    await press('5');
    await expectFocus(page, 'heading', 'Try');
    await tabTo(page, 'button', /^Try Test/);
    await press('Enter');
    await expect(page.getByTestId('prediction')).toBeVisible();
    await expectFocus(page, 'button', /^Try Test/);
    await tabRound(page);
  });

  await test.step('Versions', async () => {
    await press('6');
    await expectFocus(page, 'heading', 'Versions');
    await tabTo(page, 'textbox', 'Number');
    await press('End');
    await press('Backspace');
    await page.keyboard.type('1');
    await tabTo(page, 'button', 'Save v1.0.1');
    await press('Enter');
    await expect(page.locator('tr[data-version="v1.0.1"]')).toBeVisible({ timeout: 30_000 });
    await tabRound(page);
    await tabTo(page, 'button', 'Make current');
    await press('Enter');
    await expect(page.locator('tr[data-version="v1.0.1"]')).toContainText('current');
    await expectFocus(page, 'button', 'Retrain from v1.0.1');
  });

  await test.step('dialogs', async () => {
    const dialog = page.getByRole('dialog');
    for (const [key, title] of [
      ['s', 'Settings'],
      ['c', 'This computer'],
      ['?', 'Keys'],
    ] as const) {
      await press(key);
      await expect(page.getByRole('dialog', { name: title })).toBeVisible();
      await tabRound(page);
      await press('Escape');
      await expect(dialog).toBeHidden();
      await expectFocus(page, 'button', 'Retrain from v1.0.1');
    }
    for (const title of ['Settings', 'This computer', 'Keys']) {
      await tabTo(page, 'button', title);
      await press('Enter');
      await expect(page.getByRole('dialog', { name: title })).toBeVisible();
      await tabTo(page, 'button', 'Close');
      await press('Enter');
      await expect(dialog).toBeHidden();
      await expectFocus(page, 'button', title);
    }
    await press('s');
    await expectFocus(page, 'tab', 'Form');
    await press('ArrowRight');
    await expectFocus(page, 'tab', 'YAML');
    await tabRound(page);
    await press('Escape');
    await expectFocus(page, 'button', 'Keys');
  });

  await test.step('single keys switched off and on again', async () => {
    const acting = page.getByRole('checkbox', { name: /^Digits and letters act/ });
    for (const on of [false, true]) {
      await tabTo(page, 'button', 'Keys');
      await press('Enter');
      await expect(acting).toBeVisible();
      await tabTo(page, 'checkbox', /^Digits and letters act/);
      await press('Space');
      await expect(acting).toBeChecked({ checked: on });
      await press('Escape');
      await press('5');
      if (on) await expectFocus(page, 'heading', 'Try');
      else await expectFocus(page, 'button', 'Keys');
    }
  });

  await test.step('every view on a narrow screen', async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    for (const [i, title] of [/^Sample/, /^Trained/, 'Evaluate', 'Export', 'Try', 'Versions'].entries()) {
      await press(String(i + 1));
      await expectFocus(page, 'heading', title);
      await tabRound(page);
    }
    await page.setViewportSize({ width: 1440, height: 900 });
  });

  await test.step('deleting', async () => {
    await press('c');
    await expect(page.getByRole('dialog', { name: 'This computer' })).toBeVisible();
    await tabTo(page, 'button', /^Delete run tiny/);
    await press('Enter');
    await tabTo(page, 'button', 'Delete');
    await press('Enter');
    await expect(page.getByRole('button', { name: /^Delete run/ })).toHaveCount(0);
    await expectFocus(page, 'button', /^Delete version/);
    await press('Escape');
    await tabTo(page, 'link', /^Data/, 'Shift+Tab');
    await press('Enter');
    await expectFocus(page, 'heading', /^Sample radiographs/);
    await tabTo(page, 'button', /^Delete Sample/);
    await press('Enter');
    await expectFocus(page, 'button', 'Keep');
    await press('Escape');
    await expectFocus(page, 'button', /^Delete Sample/);
    await press('Enter');
    await press('Enter');
    await expectFocus(page, 'button', /^Delete Sample/);
    await press('Enter');
    await tabTo(page, 'button', 'Delete');
    await press('Enter');
    await expectFocus(page, 'heading', /^Drop a zip/);
  });
});

/** What is for the keyboard does not get in the way of who points. */
test('with a mouse headings have no mark, and focus that is let go stays gone', async ({ page }) => {
  await open(page, { ...fewSteps, 'data.sample.test_per_class': 60, 'training.epochs': 200 });
  await page.getByRole('button', { name: 'Use the sample data set' }).click();
  const title = page.getByRole('heading', { name: /^Sample radiographs/ });
  await expect(title).toBeFocused();
  await expect(title).toHaveCSS('box-shadow', 'none');

  const first = page.locator('[data-at="0"]');
  await first.click();
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await expect(first).toBeFocused();
  const gallery = page.getByRole('group', { name: /^Gallery/ });
  await gallery.hover();
  await page.mouse.wheel(0, 2000);
  await expect(page.locator('[data-at="395"]')).toBeVisible();
  await expect(first).toBeFocused();
  await expect(first).not.toBeInViewport();

  await page.getByRole('button', { name: 'Set up training' }).click();
  await page.getByRole('button', { name: 'Train 200 epochs' }).click();
  await page.getByRole('button', { name: 'Log scale' }).click();
  await page.locator('header').click({ position: { x: 4, y: 4 } });
  await expect(page.locator('main table.data tbody tr').nth(3)).toBeVisible({ timeout: 60_000 });
  await expect(page.locator('body')).toBeFocused();
});
