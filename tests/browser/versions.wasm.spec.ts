import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { expect, test, type Download, type Page } from '@playwright/test';
import JSZip from 'jszip';
import {
  expectProblem,
  fewSteps,
  goTo,
  open,
  pickFolderOf,
  startTraining,
  testAccuracy,
  useSample,
} from './support.ts';

async function trained(page: Page): Promise<void> {
  await useSample(page);
  await startTraining(page);
  await testAccuracy(page, 60_000);
}

async function save(page: Page, version: string, notes = ''): Promise<void> {
  await page.getByLabel('Number').fill(version);
  if (notes) await page.getByRole('textbox', { name: 'Notes', exact: true }).first().fill(notes);
  await page.getByRole('button', { name: `Save ${version}` }).click();
  await expect(page.locator(`tr[data-version="${version}"]`)).toBeVisible({ timeout: 30_000 });
}

/** Files of a downloaded zip by path. */
async function unzipped(download: Download): Promise<Map<string, Buffer>> {
  const zip = await JSZip.loadAsync(await readFile(await download.path()));
  const files = Object.values(zip.files).filter(({ dir }) => !dir);
  return new Map(await Promise.all(files.map(async (file) => [file.name, await file.async('nodebuffer')] as const)));
}

/** What `sha256sum -c SHA256SUMS` checks: every line's file is there and hashes to what the line says. Returns the paths. */
function checkSums(files: ReadonlyMap<string, Buffer>, folder: string): string[] {
  const lines = String(files.get(`${folder}/SHA256SUMS`))
    .trimEnd()
    .split('\n');
  return lines.map((line) => {
    const [, sum = '', path = ''] = /^([0-9a-f]{64}) [ *](.+)$/.exec(line) ?? [];
    const bytes = files.get(`${folder}/${path}`);
    expect(bytes, path).toBeDefined();
    expect(
      createHash('sha256')
        .update(bytes ?? '')
        .digest('hex'),
      path,
    ).toBe(sum);
    return path;
  });
}

/** Every file of that folder. */
async function filesOfFolder(page: Page): Promise<Map<string, Buffer>> {
  const entries = await page.evaluate(async () => {
    const found: [string, string][] = [];
    const walk = async (folder: FileSystemDirectoryHandle, prefix: string): Promise<void> => {
      for await (const [name, handle] of folder.entries()) {
        if (handle.kind === 'directory') await walk(handle as FileSystemDirectoryHandle, `${prefix}${name}/`);
        else {
          const bytes = new Uint8Array(await (await (handle as FileSystemFileHandle).getFile()).arrayBuffer());
          found.push([prefix + name, btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ''))]);
        }
      }
    };
    await walk(await (await navigator.storage.getDirectory()).getDirectoryHandle('repository'), '');
    return found;
  });
  return new Map(entries.map(([path, base64]) => [path, Buffer.from(base64, 'base64')]));
}

test('versions: saved, compared, made current, downloaded with sums that hold, deleted', async ({ page }) => {
  await open(page, fewSteps);
  await goTo(page, 'Versions');
  await expect(page.getByText('train a network first')).toBeVisible();
  await goTo(page, 'Data');
  await trained(page);
  await goTo(page, 'Versions');
  await expect(page.getByLabel('Number')).toHaveValue('v1.0.0');
  await save(page, 'v1.0.0', 'The first.');
  await expect(page.locator('tr[data-version="v1.0.0"]')).toContainText(/✓ passed \|Δp\| ≤ \S+, n = 12/);
  await expect(page.getByTestId('parity')).toContainText('the package says what the trained network says');
  await expect(page.getByTestId('unproven')).toHaveCount(0);

  // A number that is taken, and one that is none, are said in place.
  const number = page.getByLabel('Number');
  await number.fill('v1.0.0');
  await expect(page.getByText('v1.0.0 exists, and versions are never changed')).toBeVisible();
  await expect(page.getByTestId('primary-action')).toHaveAttribute('aria-disabled', 'true');
  await number.fill('one');
  await expect(page.getByText('A number like v1.2.0')).toBeVisible();

  await goTo(page, 'Train');
  await page.getByRole('button', { name: 'Set up a new run' }).click();
  await page.getByLabel('Epochs').fill('2');
  await page.getByLabel('Epochs').press('Enter');
  await page.getByRole('button', { name: 'Train 2 epochs' }).click();
  await testAccuracy(page, 60_000);
  await goTo(page, 'Versions');
  await expect(page.getByLabel('Number')).toHaveValue('v1.0.1');
  await save(page, 'v1.1.0');

  await page.getByLabel('Compare v1.1.0 with').selectOption('v1.0.0');
  const comparison = page.getByTestId('comparison');
  await expect(comparison.getByRole('row', { name: 'training.epochs 1 2' })).toBeVisible();
  await expect(comparison.getByRole('row', { name: /^Test/ })).toContainText('n = 12');
  await expect(comparison.getByRole('row', { name: /^Parity/ })).toContainText(/passed.*n = 12.*passed.*n = 12/);
  await expect(comparison.getByRole('row', { name: /^Size/ })).toContainText(/kB.*kB/);
  await page.getByRole('button', { name: 'Make current' }).click();
  await expect(page.locator('tr[data-version="v1.1.0"]')).toContainText('current');
  // Rolling back is making the other one current.
  await page.getByRole('button', { name: 'v1.0.0', exact: true }).click();
  await page.getByRole('button', { name: 'Make current instead of v1.1.0' }).click();
  await expect(page.locator('tr[data-version="v1.0.0"]')).toContainText('current');

  const version = page.getByTestId('version');
  await version.getByRole('textbox', { name: 'Notes' }).fill('The first; in use since November.');
  await version.getByRole('textbox', { name: 'Notes' }).blur();
  await version.getByText('Files, settings and figures').click();
  await expect(page.getByTestId('version-files')).toContainText('weights.safetensors');

  const downloading = page.waitForEvent('download');
  await version.getByRole('button', { name: 'Download zip' }).click();
  const files = await unzipped(await downloading);
  const folder = 'models/versions/v1.0.0';
  const summed = checkSums(files, folder);
  const inFolder = [...files.keys()].filter((path) => path.startsWith(`${folder}/`));
  expect(inFolder.map((path) => path.slice(folder.length + 1)).sort()).toEqual(
    [...summed, 'SHA256SUMS', 'notes.md'].sort(),
  );
  expect(String(files.get(`${folder}/notes.md`))).toContain('in use since November');
  expect(String(files.get('models/current'))).toBe('v1.0.0\n');
  const labels = String(files.get(`${folder}/labels.txt`))
    .trimEnd()
    .split('\n');
  expect(labels).toHaveLength(6);
  const packaged = summed.filter((path) => path.startsWith('PacerIDClassifier.mlpackage/'));
  for (const path of packaged) expect(files.get(`ios/${path}`), path).toEqual(files.get(`${folder}/${path}`));
  expect(packaged).toContain('PacerIDClassifier.mlpackage/Manifest.json');
  expect(summed).toEqual(expect.arrayContaining(['certificate.json', 'golden.json']));
  const certificate = JSON.parse(String(files.get(`${folder}/certificate.json`))) as object;
  expect(certificate).toMatchObject({ passed: true, images: 12, format: 'mlpackage' });

  await page.getByRole('button', { name: 'v1.1.0', exact: true }).click();
  await version.getByRole('button', { name: 'Delete v1.1.0' }).click();
  await version.getByRole('button', { name: 'Delete v1.1.0' }).click();
  await expect(page.locator('tr[data-version="v1.1.0"]')).toBeHidden();

  await page.reload();
  await expect(page.locator('tr[data-version="v1.0.0"]')).toContainText('current');

  // A byte that changed on the disk: the version is shown as damaged, is never used, and can be cleared away.
  await page.evaluate(async () => {
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open('pacerid-registry');
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error('IndexedDB does not open.'));
    });
    const change = database.transaction('records', 'readwrite');
    const key = 'file/versions/v1.0.0/labels.txt';
    change.objectStore('records').put(new TextEncoder().encode('Nobody\n'), key);
    await new Promise((resolve) => (change.oncomplete = resolve));
    database.close();
  });
  await page.reload();
  const damaged = page.locator('[data-damaged="v1.0.0"]');
  await expect(damaged).toContainText('labels.txt');
  await expect(page.locator('tr[data-version="v1.0.0"]')).toHaveCount(0);
  await expect(page.getByLabel('Number')).toHaveValue('v1.0.1');
  await number.fill('v1.0.0');
  await expect(page.getByText('A damaged v1.0.0 is in the way')).toBeVisible();
  await damaged.getByRole('button', { name: 'Delete the damaged v1.0.0' }).click();
  await damaged.getByRole('button', { name: 'Delete v1.0.0' }).click();
  await expect(damaged).toHaveCount(0);
});

test('a version whose certificate failed says so, and is synced only after a question', async ({ page }) => {
  await pickFolderOf(page);
  await open(page, { ...fewSteps, 'output.certificate.max_difference.float16': 1e-9 });
  await trained(page);
  await goTo(page, 'Versions');
  await save(page, 'v1.0.0');
  await expect(page.locator('tr[data-version="v1.0.0"]')).toContainText('✕ failed');
  await expect(page.getByTestId('unproven')).toContainText(/Its certificate failed\. .*differ by more than/);
  await page.getByRole('button', { name: 'Make current' }).click();
  await expect(page.getByText('v1.0.0 (certificate failed) is current.', { exact: false }).first()).toBeVisible();
  await expect(page.locator('nav a[href="#versions"]')).toContainText('v1.0.0 (certificate failed) is current');
  await expect(page.getByTestId('folder-unproven')).toContainText('v1.0.0 has no certificate that passed.');
  await page.getByRole('button', { name: 'This computer' }).click();
  const stored = page.getByRole('dialog').locator('li', { hasText: 'v1.0.0' });
  await expect(stored).toContainText(/Version of PacerIDClassifier · .* · certificate failed/);
  await page.keyboard.press('Escape');
  await goTo(page, 'Train');
  await page.getByRole('button', { name: 'Set up a new run' }).click();
  await page.getByRole('radio', { name: /^A trained model/ }).check();
  await expect(page.getByLabel('Trained model to start from').locator('option').first()).toContainText(
    'v1.0.0 (certificate failed), ',
  );
  await goTo(page, 'Versions');

  const panel = page.getByTestId('folder');
  await panel.getByRole('button', { name: 'Sync v1.0.0 to a folder' }).click();
  await panel.getByRole('button', { name: 'Sync v1.0.0 into repository' }).click();
  await expect(panel.getByText('It has no certificate that passed')).toBeVisible();
  expect((await filesOfFolder(page)).size).toBe(0);
  await panel.getByRole('button', { name: 'Sync v1.0.0 all the same' }).click();
  await expect(page.getByTestId('folder-said')).toContainText(
    /v1\.0\.0 is in repository.* It has no certificate that passed\./,
  );
  expect((await filesOfFolder(page)).has('models/versions/v1.0.0/certificate.json')).toBe(true);

  // Another page that takes it over says so, too.
  const version = page.getByTestId('version');
  await version.getByRole('button', { name: 'Delete v1.0.0' }).click();
  await version.getByRole('button', { name: 'Delete v1.0.0' }).click();
  await panel.getByRole('button', { name: 'Take over versions from the folder' }).click();
  await expect(page.getByTestId('folder-said')).toContainText('v1.0.0 has no certificate that passed: ');

  const downloading = page.waitForEvent('download');
  await version.getByRole('button', { name: 'Download zip' }).click();
  expect((await downloading).suggestedFilename()).toBe('models-v1.0.0-unproven.zip');
});

test('a version that nobody waits for is not saved', async ({ page }) => {
  const larger = { 'data.img_size': 192, 'data.sample.size': 192, 'data.sample.test_per_class': 4 };
  await open(page, {
    ...fewSteps,
    ...larger,
    'output.certificate.images_per_class': 4,
    'output.certificate.max_images': 24,
  });
  await trained(page);
  await goTo(page, 'Versions');
  await page.getByRole('button', { name: 'Save v1.0.0' }).click();
  const comparing = page.getByTestId('comparing');
  await expect(comparing).toContainText(/image \d+ of 24/);
  await page.getByRole('button', { name: 'Don’t save' }).click();
  await expect(comparing).toHaveCount(0);
  await expect(page.locator('[data-problem]')).toHaveCount(0);
  await expect(page.locator('tr[data-version]')).toHaveCount(0);
  await expect(page.getByRole('button', { name: 'Save v1.0.0' })).toBeEnabled();

  // Saved beside an export that nobody waits for, it is saved.
  await page.getByRole('button', { name: 'Save v1.0.0' }).click();
  await expect(comparing).toContainText(/image \d+ of 24/);
  await goTo(page, 'Export');
  await page.getByTestId('primary-action').click();
  await expect(page.getByTestId('checking')).toContainText(/^.*Comparing image \d+ of 24/);
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await expect(page.getByTestId('certificate')).toHaveAttribute('data-state', 'unknown');
  await goTo(page, 'Versions');
  await expect(page.locator('tr[data-version="v1.0.0"]')).toContainText('✓ passed', { timeout: 60_000 });
});

test('a browser that cannot write into a folder says so and offers the zip', async ({ page }) => {
  await page.addInitScript(() => Object.assign(globalThis, { showDirectoryPicker: undefined }));
  await open(page, fewSteps);
  await trained(page);
  await goTo(page, 'Versions');
  await expect(page.getByTestId('folder')).toContainText(
    'Download the zip of a version and unpack it in the repository',
  );
  await expect(page.getByTestId('folder').getByRole('button')).toHaveCount(0);
});

test('a version synced into the repository’s folder, after a look at what would change; and taken over from it', async ({
  page,
}) => {
  await pickFolderOf(page);
  await open(page, fewSteps);
  await trained(page);
  await goTo(page, 'Versions');
  await save(page, 'v1.0.0', 'Synced.');

  const panel = page.getByTestId('folder');
  await panel.getByRole('button', { name: 'Sync v1.0.0 to a folder' }).click();
  await expect(panel.getByText('current none → v1.0.0')).toBeVisible();
  expect((await filesOfFolder(page)).size).toBe(0);
  await panel.getByRole('button', { name: 'Sync v1.0.0 into repository' }).click();
  await expect(page.getByTestId('folder-said')).toContainText('v1.0.0 is in repository');
  await expect(page.locator('tr[data-version="v1.0.0"]')).toContainText('current');

  const files = await filesOfFolder(page);
  checkSums(files, 'models/versions/v1.0.0');
  expect(String(files.get('models/current'))).toBe('v1.0.0\n');
  expect(files.has('ios/PacerIDClassifier.mlpackage/Manifest.json')).toBe(true);

  // The folder is remembered over a reload. The browser asks again, at a click; after a no nothing is read, after a yes there is
  // nothing to do.
  await page.addInitScript(() => {
    const answers: PermissionState[] = ['denied', 'granted'];
    Object.assign(FileSystemHandle.prototype, {
      queryPermission: () => Promise.resolve('prompt'),
      requestPermission: () => Promise.resolve(answers.shift() ?? 'granted'),
    });
  });
  await page.reload();
  await expect(panel).toContainText('the browser asks again before it is used');
  await panel.getByRole('button', { name: 'Sync v1.0.0 …' }).click();
  await expect(page.getByTestId('folder-said')).toContainText('was not allowed');
  await panel.getByRole('button', { name: 'Sync v1.0.0 …' }).click();
  await expect(panel.getByText('Nothing to do.')).toBeVisible();

  // Deleted here, it comes back from the folder.
  const version = page.getByTestId('version');
  await version.getByRole('button', { name: 'Delete v1.0.0' }).click();
  await version.getByRole('button', { name: 'Delete v1.0.0' }).click();
  await expect(page.locator('tr[data-version]')).toHaveCount(0);
  await panel.getByRole('button', { name: 'Take over versions from the folder' }).click();
  await expect(page.locator('tr[data-version="v1.0.0"]')).toBeVisible();

  // One whose files were changed behind our back is refused by name; the whole ones beside it are taken over and seen.
  await save(page, 'v1.0.1');
  await panel.getByRole('button', { name: 'Sync v1.0.1 …' }).click();
  await panel.getByRole('button', { name: 'Sync v1.0.1 into repository' }).click();
  await expect(page.getByTestId('folder-said')).toContainText('v1.0.1 is in repository');
  for (const one of ['v1.0.0', 'v1.0.1']) {
    await page.getByRole('button', { name: one, exact: true }).click();
    await version.getByRole('button', { name: `Delete ${one}` }).click();
    await version.getByRole('button', { name: `Delete ${one}` }).click();
    await expect(page.locator(`tr[data-version="${one}"]`)).toHaveCount(0);
  }
  await page.evaluate(async () => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('repository');
    const models = await root.getDirectoryHandle('models');
    const one = await (await models.getDirectoryHandle('versions')).getDirectoryHandle('v1.0.0');
    const writable = await (await one.getFileHandle('labels.txt')).createWritable();
    await writable.write('another\n');
    await writable.close();
  });
  await panel.getByRole('button', { name: 'Take over versions from the folder' }).click();
  expect(await expectProblem(page, 'DamagedVersionError')).toContain('labels.txt');
  await expect(page.locator('tr[data-version="v1.0.1"]')).toBeVisible();
  await expect(page.locator('tr[data-version="v1.0.0"]')).toHaveCount(0);

  // Where its run is not, it is said what the version is good for.
  await expect(page.getByTestId('alone')).toHaveCount(0);
  await goTo(page, 'Train');
  await page.getByText('Earlier runs').click();
  await page.getByRole('button', { name: /^Delete the run/ }).click();
  await page.getByRole('button', { name: 'Delete the run', exact: true }).click();
  for (const step of ['Evaluate', 'Export', 'Try'] as const) {
    await goTo(page, step);
    await expect(page.getByTestId('versions-alone')).toContainText(
      'There is a version here, but not the run that made it',
    );
  }
  await goTo(page, 'Versions');
  await expect(page.getByTestId('alone')).toContainText('The run that made it is not on this computer');
});
