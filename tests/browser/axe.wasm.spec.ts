import { readFile } from 'node:fs/promises';
import { expect, test, type Page } from '@playwright/test';
import JSZip from 'jszip';
import sharp from 'sharp';
import { judge, type State } from './axe.ts';
import { staticSite } from './staticSite.ts';
import { drop, fewSteps, goTo, open, pickFolderOf, queryOf, strict, testAccuracy, useSample } from './support.ts';

/**
 * Every view in its states, judged by axe-core. A state follows from the one before it, so that one short run is enough for all of
 * them. A new one is an entry in a list below; a page of its own is a list and a test.
 */

// What axe-core says is all that is wanted of a failure, and a trace would take as long as the rest.
test.use({ trace: 'off' });

const view = (name: Parameters<typeof goTo>[1], title: RegExp | string = name): State => ({
  name,
  reach: async (page) => {
    await goTo(page, name);
    await expect(page.locator('main h1')).toHaveText(title);
  },
});
const press = (name: string, button: string | RegExp, shown: string): State => ({
  name,
  reach: async (page) => {
    await page.getByRole('button', { name: button }).first().click();
    await expect(page.locator(shown).first()).toBeVisible();
  },
});
const escape = (page: Page): Promise<void> => page.keyboard.press('Escape');
const putAway = (page: Page): Promise<void> => page.getByRole('button', { name: 'Don’t read it' }).click();

const nothingYet: readonly State[] = [
  view('Data', /^Drop/),
  view('Train'),
  view('Evaluate'),
  view('Export'),
  view('Try'),
  view('Versions'),
  {
    name: 'a named problem',
    reach: async (page) => {
      await goTo(page, 'Data');
      await drop(page, [{ name: 'photos.zip', bytes: new TextEncoder().encode('no zip, whatever its name says') }]);
      await expect(page.locator('[data-problem=NotAZipError]')).toBeVisible();
    },
    leave: (page) => page.getByRole('button', { name: /^Dismiss/ }).click(),
  },
];

const withData: readonly State[] = [
  { name: 'data loaded', reach: useSample },
  press('ways to add images', 'Add images', '.items:not([hidden])'),
  press('asked before the data set is deleted', /^Delete Sample/, '[role=group]:has(button.danger)'),
  {
    name: 'an image',
    reach: async (page) => {
      await page.locator('[data-at="0"]').click();
      await expect(page.getByRole('dialog').getByRole('img')).toBeVisible();
    },
    leave: escape,
  },
  {
    name: 'a question about what was dropped',
    reach: async (page) => {
      await drop(page, [{ name: 'december.zip', bytes: await aFewImages() }]);
      await expect(page.getByTestId('arrival')).toBeVisible();
    },
    leave: putAway,
  },
  {
    name: 'settings, one of them refused',
    reach: async (page) => {
      await page.getByRole('button', { name: 'Settings' }).click();
      const dialog = page.getByRole('dialog', { name: 'Settings' });
      await dialog.getByText('All other settings').click();
      await dialog.getByLabel('Learning rate').fill('-1');
      await dialog.getByLabel('Learning rate').press('Enter');
      await expect(dialog.getByLabel('Learning rate')).toHaveAttribute('aria-invalid', 'true');
    },
  },
  {
    name: 'settings as YAML, a line of them refused',
    reach: async (page) => {
      await page.getByRole('tab', { name: 'YAML' }).click();
      await page.getByLabel('Settings as YAML').fill('training:\n  epoch: 3\n');
      await page.getByRole('button', { name: 'Use these settings' }).click();
      await expect(page.getByRole('button', { name: 'Line 2' })).toBeVisible();
    },
    leave: escape,
  },
  { ...press('this computer', 'This computer', 'dialog[open] li'), leave: escape },
  { ...press('keys', 'Keys', 'dialog[open] dl'), leave: escape },
];

const withRun: readonly State[] = [
  {
    name: 'Train, what augmentation looks like, a range refused',
    reach: async (page) => {
      await goTo(page, 'Train');
      await page.getByText('What it looks like').click();
      await expect(page.getByRole('img', { name: /, epoch 5$/ }).first()).toBeVisible();
      await page.getByLabel('Share of the area, from').fill('2');
      await page.getByLabel('Share of the area, from').press('Enter');
      await expect(page.getByRole('alert').filter({ hasText: 'In use: 0.9 – 1.' })).toBeVisible();
    },
    leave: (page) => page.getByText('What it looks like').click(),
  },
  {
    name: 'Train, the optimiser’s settings, two that don’t go together',
    reach: async (page) => {
      await goTo(page, 'Train');
      await page.getByText('Optimiser').click();
      await page.getByLabel('Method').selectOption('SGD');
      await page.getByLabel('Nesterov').check();
      await page.getByLabel('Momentum').fill('0');
      await page.getByLabel('Momentum').press('Enter');
      await expect(page.getByRole('alert').filter({ hasText: 'In use: 0.9.' })).toBeVisible();
    },
    leave: async (page) => {
      await page.getByLabel('Method').selectOption('Adam');
      await page.getByText('Optimiser').click();
    },
  },
  {
    name: 'Train, the weights of classes, one of them refused',
    reach: async (page) => {
      await goTo(page, 'Train');
      await page.locator('summary', { hasText: 'Loss' }).click();
      await page.getByLabel('Class weights').selectOption('One by one');
      const weight = page.locator('details', { hasText: 'Class weights' }).getByRole('textbox').last();
      await weight.fill('-2');
      await weight.press('Enter');
      await expect(page.getByRole('alert').filter({ hasText: 'In use: 1.' })).toBeVisible();
    },
    leave: async (page) => {
      await page.getByLabel('Class weights').selectOption('All alike');
      await page.locator('summary', { hasText: 'Loss' }).click();
    },
  },
  {
    name: 'Train, the head only, its number of views refused',
    reach: async (page) => {
      await goTo(page, 'Train');
      await page.getByRole('radio', { name: 'Head only' }).check();
      await page.getByLabel('Augmented views').fill('-1');
      await page.getByLabel('Augmented views').press('Enter');
      await expect(page.getByRole('alert').filter({ hasText: 'In use: 1.' })).toBeVisible();
    },
    leave: (page) => page.getByRole('radio', { name: 'All layers' }).check(),
  },
  {
    name: 'Train, before a run, measured',
    reach: async (page) => {
      await goTo(page, 'Train');
      await page.getByRole('button', { name: 'Measure' }).click();
      await expect(page.getByRole('button', { name: 'Measure again' })).toBeVisible({ timeout: 30_000 });
    },
  },
  {
    name: 'training under way',
    reach: async (page) => {
      await page.getByRole('button', { name: /^Train \d+ epochs?$/ }).click();
      await expect(page.locator('main table.data tbody tr').nth(1)).toBeVisible({ timeout: 60_000 });
      // Held, so that it is still under way when axe-core is through.
      await page.getByRole('button', { name: 'Pause' }).click();
      await expect(page.getByRole('button', { name: 'Continue' })).toBeVisible();
    },
  },
  {
    name: 'after a run',
    reach: async (page) => {
      await page.getByRole('button', { name: 'Stop and keep' }).click();
      await testAccuracy(page, 60_000);
      await page.getByText('Earlier runs').click();
    },
  },
  {
    name: 'Evaluate, images of a cell',
    reach: async (page) => {
      await goTo(page, 'Evaluate');
      await page
        .locator('main canvas')
        .first()
        .click({ position: { x: 10, y: 10 } });
      await expect(page.getByRole('button', { name: 'Back to the mistakes' })).toBeVisible();
    },
  },
  {
    name: 'Export, everything written',
    reach: async (page) => {
      await goTo(page, 'Export');
      await page.getByRole('button', { name: /^Demo page/ }).click();
      await expect(page.getByTestId('demo-saved')).toBeVisible();
      await page.getByRole('button', { name: /^Download PacerID/ }).click();
      await expect(page.locator('[data-format=mlpackage]')).toBeVisible();
      await page.getByText('Class by class').click();
      await page.getByText('Swift for the app').click();
    },
  },
  {
    name: 'Export, a certificate that failed',
    reach: async (page) => {
      await drop(page, [strict]);
      await page.getByRole('button', { name: /^Download PacerID/ }).click();
      await expect(page.locator('[data-testid=certificate][data-state=failed]')).toBeVisible();
      await page.getByRole('button', { name: 'Download it all the same' }).click();
      await expect(page.getByRole('button', { name: 'Hold it back' })).toBeFocused();
    },
    leave: async (page) => {
      await page.getByRole('button', { name: 'Hold it back' }).click();
    },
  },
  {
    name: 'Export, a certificate of an earlier file',
    reach: async (page) => {
      await page.getByRole('radio', { name: 'ONNX', exact: true }).check();
      await expect(page.getByTestId('certificate-whose')).toContainText('Of an earlier file');
    },
    leave: (page) => page.getByRole('radio', { name: 'Core ML package', exact: true }).check(),
  },
  {
    name: 'a question about a checkpoint',
    reach: async (page) => {
      const saving = page.waitForEvent('download');
      await page
        .getByRole('button', { name: /^Save checkpoint/ })
        .first()
        .click();
      const buffer = await readFile(await (await saving).path());
      await drop(page, [{ name: 'checkpoint_best.safetensors', bytes: buffer }]);
      await expect(page.getByTestId('arrival')).toBeVisible();
    },
    leave: putAway,
  },
  view('Try'),
  {
    name: 'Try, a prediction',
    reach: async (page) => {
      await page.locator('[data-test-image]').first().click();
      await expect(page.getByTestId('prediction')).toBeVisible();
    },
  },
];

const withVersions: readonly State[] = [
  view('Versions'),
  {
    name: 'one version, its files shown',
    reach: async (page) => {
      await save(page, 'v1.0.0');
      await page.getByText('Files, settings and figures').click();
      await expect(page.getByTestId('version-files')).toBeVisible();
    },
  },
  {
    name: 'two versions compared, a number that is taken',
    reach: async (page) => {
      await save(page, 'v1.1.0');
      await page.getByLabel('Compare v1.1.0 with').selectOption('v1.0.0');
      await expect(page.getByTestId('comparison').locator('table')).toBeVisible();
      await page.getByLabel('Number').fill('v1.1.0');
      await expect(page.getByText(/^v1.1.0 exists/)).toBeVisible();
    },
  },
  {
    name: 'what a sync would change',
    reach: async (page) => {
      await page.getByLabel('Number').fill('v1.2.0');
      await page.getByRole('button', { name: 'Close the comparison' }).click();
      await page.getByRole('button', { name: /^Sync v1.1.0 to a folder/ }).click();
      await expect(page.getByRole('button', { name: /^Sync v1.1.0 into/ })).toBeVisible();
    },
  },
  {
    name: 'Train, from a version',
    reach: async (page) => {
      await page.getByRole('button', { name: 'Retrain from v1.1.0' }).click();
      await expect(page.getByTestId('label-change')).toBeVisible();
    },
  },
];

async function save(page: Page, version: string): Promise<void> {
  await page.getByLabel('Number').fill(version);
  await page.getByRole('button', { name: `Save ${version}` }).click();
  await expect(page.locator(`tr[data-version="${version}"]`)).toBeVisible({ timeout: 30_000 });
}

async function aFewImages(): Promise<Uint8Array> {
  const zip = new JSZip();
  for (const [i, name] of ['MDT - Azure', 'BSC - Ingenio'].entries())
    zip.file(
      `Train/${name}/0.png`,
      await sharp({ create: { width: 32, height: 32, channels: 3, background: { r: 90 * i, g: 90, b: 90 } } })
        .png()
        .toBuffer(),
    );
  return zip.generateAsync({ type: 'uint8array' });
}

const few = queryOf(fewSteps);
const ofLinks = (url: string): readonly State[] => [
  {
    name: 'a demonstration',
    reach: async (page) => {
      await page.goto(`${url}?demo&${few}`);
      await expect(page.getByTestId('demo')).toBeVisible({ timeout: 60_000 });
    },
  },
  {
    name: 'a question about what a link brings',
    reach: async (page) => {
      await page.goto(`${url}?dataset=sets/december.zip`);
      await expect(page.getByRole('button', { name: /^Download \d/ })).toBeVisible();
    },
  },
];

test('axe-core finds nothing in any view', async ({ page }) => {
  await pickFolderOf(page);
  await open(page, { ...fewSteps, 'training.epochs': 200 });
  await judge(page, [...nothingYet, ...withData, ...withRun, ...withVersions]);
});

test('nor while images come in', async ({ page }) => {
  await open(page, { ...fewSteps, 'data.sample.train_per_class': 1000 });
  await judge(page, [
    {
      name: 'importing',
      reach: async () => {
        await page.getByRole('button', { name: 'Use the sample data set' }).click();
        await expect(page.getByTestId('import-progress')).toContainText(' of ');
      },
      leave: async () => {
        await page.getByRole('button', { name: 'Cancel the import' }).click();
        await expect(page.getByRole('heading', { name: /^Drop a zip/ })).toBeVisible();
      },
    },
  ]);
});

test('nor in a page that a link opened', async ({ page }) => {
  const zip = await aFewImages();
  const site = await staticSite('dist', {
    answer: (path, { method }, response) => {
      if (path !== 'sets/december.zip') return false;
      response.writeHead(200, { 'content-type': 'application/zip', 'content-length': zip.length });
      response.end(method === 'HEAD' ? undefined : zip);
      return true;
    },
  });
  await judge(page, ofLinks(site.url));
  await site.close();
});
