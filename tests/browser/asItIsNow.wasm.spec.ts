import { expect, test, type Page } from '@playwright/test';
import { nats } from '../../src/app/components/charts/figures.ts';
import { fewSteps, goTo, open, startTraining, storedEvents, testAccuracy, useSample } from './support.ts';

/** Counts the commands that the page sends to its workers, by name: what Comlink posts to a `Worker`. */
async function countCommands(page: Page): Promise<(command: string) => Promise<number>> {
  await page.addInitScript(() => {
    const counts: Record<string, number> = {};
    Object.assign(globalThis, { commandCounts: counts });
    class Counted extends Worker {
      override postMessage(message: unknown, transfer: unknown = []): void {
        const { path, argumentList } = message as { path?: string[]; argumentList?: { value: unknown }[] };
        const command = argumentList?.[0]?.value;
        if (path?.[0] === 'dispatch' && typeof command === 'string') counts[command] = (counts[command] ?? 0) + 1;
        super.postMessage(message, transfer as Transferable[]);
      }
    }
    Object.assign(globalThis, { Worker: Counted });
  });
  return (command) =>
    page.evaluate(
      (name) => (globalThis as unknown as { commandCounts: Record<string, number> }).commandCounts[name] ?? 0,
      command,
    );
}

/** The stored run `copies` more times under other ids, with its log: as if it had been trained that often. */
async function copyRun(page: Page, copies: number): Promise<void> {
  await page.evaluate(async (n) => {
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open('pacerid-runs');
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error('IndexedDB does not open.'));
    });
    const store = database.transaction('records', 'readwrite').objectStore('records');
    const read = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error('IndexedDB does not answer.'));
      });
    const keys = (await read(store.getAllKeys())).map(String);
    const [values, run] = [
      await read(store.getAll() as IDBRequest<unknown[]>),
      keys.find((key) => key.startsWith('run/')),
    ];
    const id = run?.slice('run/'.length) ?? '';
    for (const [i, key] of keys.entries()) {
      if (key !== run && !key.startsWith(`events/${id}/`)) continue;
      for (let copy = 1; copy <= n; copy++) {
        const other = `${id}-${copy}`;
        const value = values[i];
        await read(
          store.put(
            key === run
              ? { ...(value as object), id: other, createdAt: (value as { createdAt: number }).createdAt - copy }
              : value,
            key.replace(id, other),
          ),
        );
      }
    }
    database.close();
  }, copies);
}

const models = (page: Page) => page.getByLabel('Trained model to start from').locator('option');

test('the log of every run is read once, however many there are to start from', async ({ page }) => {
  const sent = await countCommands(page);
  await open(page, fewSteps);
  await useSample(page);
  await startTraining(page);
  await testAccuracy(page, 60_000);
  await copyRun(page, 5);
  await goTo(page, 'Data');
  await page.reload();
  // The runs are known before the list of them is first asked for.
  await expect(page.getByRole('navigation', { name: 'Steps' })).toContainText('1 epoch');
  await goTo(page, 'Train');
  await testAccuracy(page, 15_000);
  const before = await sent('events');
  await page.getByRole('button', { name: 'Set up a new run' }).click();
  await page.getByRole('radio', { name: /^A trained model/ }).check();
  await expect(models(page)).toHaveCount(6);
  await expect(models(page).filter({ hasText: /on Test, n = 12$/ })).toHaveCount(6);
  await page.waitForTimeout(500);
  expect(await sent('events')).toBe(before + 6);
});

test('a run that is judged, and goes on, is shown as it is now', async ({ page }) => {
  await open(page, {
    ...fewSteps,
    'data.sample.train_per_class': 20,
    'training.epochs': 200,
    'training.device': 'wasm',
  });
  await useSample(page);
  await startTraining(page);
  const bestEpochs = async () =>
    (await storedEvents(page))
      .filter((event) => event.type === 'checkpointSaved' && event.best)
      .map(({ epoch = 0 }) => epoch);
  await expect.poll(async () => (await bestEpochs()).length, { timeout: 120_000 }).toBeGreaterThan(0);
  page.on('dialog', (dialog) => void dialog.accept());
  await page.reload();

  await goTo(page, 'Train');
  await page.getByRole('button', { name: 'Keep as it is' }).click();
  await page.getByRole('button', { name: 'Set up a new run' }).click();
  await page.getByRole('radio', { name: /^A trained model/ }).check();
  await expect(models(page)).toHaveText(/not judged on Test$/);
  await goTo(page, 'Evaluate');
  await page.getByRole('button', { name: /on Test now$/ }).click();
  const judged = page.locator('section', { has: page.locator('[data-split="test"]') });
  await expect(judged).toContainText('n = 12', { timeout: 30_000 });
  await goTo(page, 'Train');
  await expect(models(page)).toHaveText(/on Test, n = 12$/);

  // It goes on, gets better, and is judged again.
  const before = Math.max(...(await bestEpochs()));
  await page.getByText('Earlier runs').click();
  await page.getByRole('button', { name: 'Resume' }).click();
  const betterThan = (epoch: number) =>
    expect.poll(async () => Math.max(...(await bestEpochs())), { timeout: 120_000 }).toBeGreaterThan(epoch);
  await betterThan(before);
  await page.getByRole('button', { name: /^Stop/ }).click();
  await testAccuracy(page, 60_000);
  const reports = (await storedEvents(page)).filter(({ type }) => type === 'testEvaluated').map(({ report }) => report);
  expect(reports).toHaveLength(2);
  const [first, last] = reports.map((report) => nats(report?.loss ?? NaN));
  expect(last).not.toBe(first);
  await goTo(page, 'Evaluate');
  await expect(judged.getByRole('definition').first()).toHaveText(last ?? '');

  // It goes on once more and is cut off: what was judged is not what it is now.
  const judgedEpoch = Math.max(...(await bestEpochs()));
  await goTo(page, 'Train');
  await page.getByText('Earlier runs').click();
  await page.getByRole('button', { name: 'Resume' }).click();
  await betterThan(judgedEpoch);
  await page.reload();
  await goTo(page, 'Evaluate');
  await expect(page.getByText(`Test was judged with epoch ${judgedEpoch}.`)).toBeVisible();
  await expect(judged).toHaveCount(0);
});
