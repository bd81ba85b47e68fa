/**
 * What older pages stored, opened by this one, and what a newer one stored, left alone. The fixtures were made by pages of earlier commits
 * in Chromium (tests/fixtures/stored/README.md); what those showed stands beside what they stored.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, type Page } from '@playwright/test';
import JSZip from 'jszip';
import { predictionsInTry, type StoredFixture } from './storedFixtures.ts';
import { dump, fill, unpack, type StoredPage } from './storedPage.ts';
import { expectProblem, goTo, open, testAccuracy } from './support.ts';

test.describe.configure({ timeout: 120_000 });

const folder = join(import.meta.dirname, '../fixtures/stored');
const fixtures = readdirSync(folder)
  .filter((name) => name.endsWith('.br'))
  .sort()
  .map((name) => ({ name, ...(unpack(readFileSync(join(folder, name))) as StoredFixture) }));

interface Run {
  readonly id: string;
  readonly schema: number;
  readonly createdAt: number;
  readonly state: string;
  readonly latestEpoch: number;
  readonly config: { readonly training: { readonly epochs: number } };
}
interface Event {
  readonly type: string;
  readonly epoch?: number;
  readonly best?: boolean;
  readonly validation?: { readonly accuracy: number } | null;
}

/** Records of a database whose keys begin with `prefix`. */
function recordsOf<T>(stored: StoredPage, database: string, prefix: string): [string, T][] {
  const entries = stored.databases.find(({ name }) => name === database)?.stores[0]?.entries ?? [];
  return entries.filter(([key]) => key.startsWith(prefix)) as [string, T][];
}
const runsOf = (stored: StoredPage): Run[] =>
  recordsOf<Run>(stored, 'pacerid-runs', 'run/')
    .map(([, run]) => run)
    .sort((a, b) => b.createdAt - a.createdAt);
const epochsOf = (stored: StoredPage, runId: string): Event[] =>
  recordsOf<Event[]>(stored, 'pacerid-runs', `events/${runId}/`)
    .flatMap(([, events]) => events)
    .filter(({ type }) => type === 'epochEnded');

/** The page, opened where `stored` lies already. */
async function openWith(page: Page, stored: StoredPage): Promise<void> {
  // Of the same origin, and without the app.
  await page.goto('icon.svg');
  await fill(page, stored);
  await open(page, {
    'model.architecture': 'tiny',
    'data.img_size': 32,
    'data.batch_size': 8,
    'training.layers': 'head',
    'training.epochs': 1,
  });
}

for (const { name, page: by, recorded, stored } of fixtures) {
  test(`${name}, stored by the page of “${by.subject}”, is opened, used and gone on with`, async ({ page }) => {
    const runs = runsOf(stored);
    const datasets = recordsOf<{ name: string; images: unknown[]; classes: unknown[]; createdAt: number }>(
      stored,
      'pacerid-datasets',
      'dataset/',
    ).map(([, dataset]) => dataset);
    const newest = datasets.reduce((a, b) => (a.createdAt > b.createdAt ? a : b));
    await openWith(page, stored);

    await expect(page.getByRole('heading', { name: newest.name })).toBeVisible();
    const counts = `${newest.images.length} images · ${newest.classes.length} classes`;
    await expect(page.locator('main').getByText(counts)).toBeVisible();
    await expect(page.getByRole('group', { name: /^Gallery/ }).locator('canvas')).toHaveCount(newest.images.length);
    if (datasets.length > 1)
      await expect(page.getByLabel('Data set in use').locator('option')).toHaveCount(datasets.length);

    await goTo(page, 'Train');
    expect(await testAccuracy(page, 15_000)).toBeCloseTo(recorded.accuracy, 3);
    const [last, cutOff] = [runs[0], runs.at(-1)] as [Run, Run];
    const epochs = epochsOf(stored, last.id);
    await expect(page.getByRole('region', { name: 'Epochs' }).locator('tbody tr')).toHaveCount(epochs.length);
    await expect(page.locator('.uplot canvas').first()).toBeVisible();
    await page.getByText('Earlier runs').click();
    await expect(page.getByRole('row', { name: /Show/ })).toHaveCount(runs.length);

    await goTo(page, 'Try');
    const said = await predictionsInTry(page);
    expect(Object.keys(said)).toEqual(Object.keys(recorded.predictions));
    for (const [path, before] of Object.entries(recorded.predictions)) {
      const now = said[path] ?? {};
      expect(Object.values(now).reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 5);
      expect(Object.keys(now).sort()).toEqual(Object.keys(before).sort());
      for (const [label, p] of Object.entries(before))
        expect(Math.abs((now[label] ?? NaN) - p), `${path}: ${label}`).toBeLessThanOrEqual(1e-4);
    }

    await goTo(page, 'Evaluate');
    await expect(page.locator('[data-split=test]')).toHaveAttribute('data-accuracy', /^(0|1|0\.\d+)$/);
    // Judged anew, with the images and the weights that are stored.
    await expect(page.locator('[data-split=val]')).toHaveAttribute(
      'data-accuracy',
      String(epochs.findLast(({ best }) => best)?.validation?.accuracy),
    );
    await goTo(page, 'Export');
    const downloading = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download PacerIDClassifier.mlpackage' }).click();
    const zip = await JSZip.loadAsync(readFileSync(await (await downloading).path()));
    expect(Object.keys(zip.files)).toContain('PacerIDClassifier.mlpackage/Manifest.json');

    await goTo(page, 'Versions');
    await expect(page.getByLabel('Number')).toBeVisible();
    await expect(page.locator('tr[data-version]')).toHaveCount(recorded.versions.length);
    await expect(page.locator('[data-damaged], [data-newer]')).toHaveCount(0);

    // What was cut off goes on from where it was, and its earlier epochs stand.
    await goTo(page, 'Train');
    const wanted = cutOff.config.training.epochs;
    const offer = page.getByTestId('resume-offer');
    await expect(offer).toContainText(`was interrupted after epoch ${cutOff.latestEpoch} of ${wanted}`);
    await offer.getByRole('button', { name: 'Resume' }).click();
    await expect(page.getByRole('button', { name: 'Set up a new run' })).toBeVisible({ timeout: 60_000 });
    await testAccuracy(page, 60_000);
    const went = epochsOf(await dump(page), cutOff.id);
    expect(went.map(({ epoch }) => epoch)).toEqual(Array.from({ length: wanted }, (_, i) => i + 1));
    expect(went.slice(0, cutOff.latestEpoch)).toEqual(epochsOf(stored, cutOff.id).slice(0, cutOff.latestEpoch));

    // And the next run starts from the weights file that was kept.
    await page.getByRole('button', { name: 'Set up a new run' }).click();
    await page.getByRole('radio', { name: /^backbone/ }).check();
    await page.getByRole('button', { name: 'Train 1 epoch' }).click();
    await testAccuracy(page, 60_000);
    await expect(page.locator('[data-problem]')).toHaveCount(0);
  });
}

/** `database key` and value of everything. */
const entriesOf = ({ databases }: StoredPage): [string, unknown][] =>
  databases.flatMap(({ name, stores }) =>
    stores.flatMap(({ entries }) => entries.map(([key, value]): [string, unknown] => [`${name} ${key}`, value])),
  );

test('what a newer page stored beside ours is said, left out, and not touched by anything', async ({ page }) => {
  const { stored } = fixtures.at(-1) as (typeof fixtures)[number];
  const [last] = runsOf(stored) as [Run];
  const datasets = recordsOf<{ id: string; additions?: unknown }>(stored, 'pacerid-datasets', 'dataset/');
  const grown = datasets.find(([, { additions }]) => additions !== undefined)?.[1].id ?? '';
  const weights = recordsOf<{ key: string; labels: unknown }>(stored, 'pacerid-weights', 'record/');
  const labelled = weights.find(([, { labels }]) => labels !== null)?.[1].key ?? '';
  const records = [`dataset/${grown}`, `run/${last.id}`, `record/${labelled}`];
  const newer = [
    ...['dataset', 'cache', 'original'].map((kind) => `pacerid-datasets ${kind}/${grown}`),
    ...['run', 'events', 'checkpoint'].map((kind) => `pacerid-runs ${kind}/${last.id}`),
    ...['record', 'bytes'].map((kind) => `pacerid-weights ${kind}/${labelled}`),
    'pacerid-registry file/versions/v1.0.0/',
  ];
  const raised = (key: string, value: unknown): unknown => {
    if (records.includes(key)) return { ...(value as object), schema: 99, anew: [1, 2] };
    if (key !== 'file/versions/v1.0.0/version.json') return value;
    const text = new TextDecoder().decode(value as Uint8Array).replace('"schema": 1', '"schema": 3');
    return new TextEncoder().encode(text);
  };
  const mixed: StoredPage = {
    ...stored,
    databases: stored.databases.map((database) => ({
      ...database,
      stores: database.stores.map((store) => ({
        ...store,
        entries: store.entries.map(([key, value]) => [key, raised(key, value)] as const),
      })),
    })),
  };
  await openWith(page, mixed);
  const problem = page.locator('[data-problem="StoredByNewerError"]');
  await expect(problem).toHaveCount(1);
  await expect(problem).toContainText(
    '1 data set, 1 run, 1 version and 1 weights file on this computer were stored by a newer',
  );
  await expectProblem(page, 'StoredByNewerError');

  // What is ours is there and of use.
  await expect(page.locator('main').getByText('32 images · 4 classes')).toBeVisible();
  await expect(page.getByLabel('Data set in use')).toHaveCount(0);
  await goTo(page, 'Try');
  expect(Object.keys(await predictionsInTry(page))).toHaveLength(4);
  await goTo(page, 'Versions');
  await expect(page.locator('[data-newer="v1.0.0"]')).toBeVisible();
  await expect(page.locator('[data-damaged], tr[data-version]')).toHaveCount(0);
  await expect(page.getByLabel('Number')).toHaveValue('v1.0.1');
  await goTo(page, 'Train');
  await page.getByText('Earlier runs').click();
  await expect(page.getByRole('row', { name: /Show/ })).toHaveCount(2);
  await expect(page.locator('[data-problem]')).toHaveCount(0);

  // Deleting everything takes what is ours; the newer page finds all that it had.
  await page.getByRole('button', { name: 'This computer', exact: true }).click();
  await page.getByRole('button', { name: 'Delete everything on this computer' }).click();
  await page.getByRole('button', { name: 'Delete everything', exact: true }).click();
  await expect(problem).toHaveCount(1);
  await expect(page.getByRole('button', { name: 'Delete everything on this computer' })).toHaveCount(0);
  await expect(page.locator('p[data-newer]')).toContainText('1 data set, 1 run, 1 version and 1 weights file');
  expect(entriesOf(await dump(page))).toEqual(
    entriesOf(mixed).filter(([key]) => newer.some((own) => key.startsWith(own))),
  );
});
