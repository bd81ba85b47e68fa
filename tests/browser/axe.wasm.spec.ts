import AxeBuilder from '@axe-core/playwright';
import { expect, test, type Page } from '@playwright/test';
import sharp from 'sharp';
import JSZip from 'jszip';
import { drop, fewSteps, goTo, open, testAccuracy, useSample } from './support.ts';

/**
 * Every view in its states, judged by axe-core: WCAG 2.0 to 2.2, A and AA, and its best practices, dark and light, on a desktop and
 * on a phone. No rule is left out. A state follows from the one before it, so that one short run is enough for all of them; a new one
 * is a line in a list below.
 */
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa', 'best-practice', 'experimental'];
const ofColours = ['color-contrast', 'link-in-text-block'];
/** A guess at what looks like a heading; here it takes the one large figure of a view for one. */
const guess = 'p-as-heading';
const desktop = { width: 1440, height: 900 };
const phone = { width: 390, height: 844 };
/**
 * A scheme changes colours and nothing else, so all other rules are asked once a size. Colours are judged of what is in sight alone:
 * that is why they are looked at on screens so high that nothing has to be scrolled.
 */
const looks = [
  { on: 'desktop', size: desktop, colorScheme: 'dark', coloursOnly: false },
  { on: 'desktop', size: { ...desktop, height: 3000 }, colorScheme: 'dark', coloursOnly: true },
  { on: 'desktop', size: { ...desktop, height: 3000 }, colorScheme: 'light', coloursOnly: true },
  { on: 'phone', size: { ...phone, height: 5000 }, colorScheme: 'light', coloursOnly: true },
  { on: 'phone', size: { ...phone, height: 5000 }, colorScheme: 'dark', coloursOnly: true },
  { on: 'phone', size: phone, colorScheme: 'dark', coloursOnly: false },
] as const;

// What axe-core says is all that is wanted of a failure, and a trace would take as long as the rest.
test.use({ trace: 'off', viewport: desktop });

interface State {
  readonly name: string;
  /** From the state before to this one, on a desktop; ends with something of it in sight. */
  readonly reach: (page: Page) => Promise<unknown>;
  /** What was opened over the view is closed again; Escape where it is not said. */
  readonly leave?: (page: Page) => Promise<unknown>;
}

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
    leave: (page) => page.getByRole('button', { name: 'Don’t read it' }).click(),
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
    name: 'Export, a package and weights written',
    reach: async (page) => {
      await goTo(page, 'Export');
      await page.getByRole('button', { name: /^Download PacerID/ }).click();
      await expect(page.locator('[data-format=mlpackage]')).toBeVisible();
      await page.getByRole('button', { name: 'Weights as .safetensors' }).click();
      await expect(page.locator('[data-format=safetensors]')).toBeVisible();
    },
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

/** One line a rule and element: what is wrong, where, and what would put it right. */
async function violationsOf(page: Page, coloursOnly: boolean): Promise<string[]> {
  // AxeBuilder hands its half megabyte to the page twice a question; once a page is enough.
  const known = await page.evaluate(() => 'axe' in globalThis);
  // One document without frames: in its “legacy” mode axe-core need not open a second page to gather what frames say.
  const axe = new AxeBuilder({ page, ...(known && { axeSource: 'undefined' }) })
    .setLegacyMode()
    .options({ resultTypes: ['violations'] });
  const { violations } = await (
    coloursOnly ? axe.withRules(ofColours) : axe.withTags(tags).disableRules(guess)
  ).analyze();
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary = '' }) => `${id} at ${target.join(' ')}: ${help}. ${failureSummary}`),
  );
}

async function judge(page: Page, states: readonly State[]): Promise<void> {
  for (const { name, reach, leave } of states)
    await test.step(name, async () => {
      await reach(page);
      for (const { on, size, colorScheme, coloursOnly } of looks) {
        await page.setViewportSize(size);
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        expect.soft(await violationsOf(page, coloursOnly), `${name}, ${on}, ${colorScheme}`).toEqual([]);
      }
      await page.setViewportSize(desktop);
      await leave?.(page);
    });
}

test('axe-core finds nothing in any view', async ({ page }) => {
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
