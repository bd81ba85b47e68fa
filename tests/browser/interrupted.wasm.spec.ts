import { expect, test } from '@playwright/test';
import type { RunEvent } from '../../src/training/events.ts';
import { foldRun } from '../../src/training/runState.ts';
import {
  expectProblem,
  fewSteps,
  goTo,
  open,
  startTraining,
  storedEvents,
  testAccuracy,
  useSample,
} from './support.ts';

/** Long enough to be interrupted in the middle, short enough to end. */
const someEpochs = { ...fewSteps, 'data.sample.train_per_class': 20, 'training.epochs': 8, 'training.device': 'wasm' };

test('a reload in mid-run loses at most the epoch under way', async ({ page }) => {
  await open(page, someEpochs);
  await useSample(page);
  await startTraining(page);
  await expect
    .poll(async () => (await storedEvents(page)).filter(({ type }) => type === 'checkpointSaved').length, {
      timeout: 120_000,
    })
    .toBeGreaterThanOrEqual(2);
  page.on('dialog', (dialog) => void dialog.accept());
  await page.reload();

  await goTo(page, 'Train');
  const before = (await storedEvents(page)).filter(({ type }) => type === 'checkpointSaved').length;
  await page
    .getByRole('button', { name: /^Resume/ })
    .first()
    .click();
  await testAccuracy(page, 200_000);
  const events = await storedEvents(page);
  // A checkpoint may be stored a moment before the log says so.
  expect([before, before + 1]).toContain(events.find(({ type }) => type === 'resumed')?.fromEpoch);
  // As the page reads its log: what came after the checkpoint is there once more, and counts as it was trained anew.
  const epochs = foldRun(events as unknown as RunEvent[]).history.map(({ epoch }) => epoch);
  expect(epochs).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test('pause holds the run, continue goes on, stop keeps what was learnt and judges it', async ({ page }) => {
  await open(page, { ...someEpochs, 'training.epochs': 200 });
  await useSample(page);
  await startTraining(page);
  const steps = async () => (await storedEvents(page)).filter(({ type }) => type === 'epochEnded').length;
  await expect.poll(steps, { timeout: 60_000 }).toBeGreaterThanOrEqual(1);
  await page.getByRole('button', { name: 'Pause' }).click();
  await expect.poll(async () => (await storedEvents(page)).at(-1)?.type).toBe('paused');
  const held = await steps();
  await page.waitForTimeout(1500);
  expect(await steps()).toBe(held);
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect.poll(steps, { timeout: 60_000 }).toBeGreaterThan(held);
  await page.getByRole('button', { name: /^Stop/ }).click();
  await testAccuracy(page, 60_000);
  expect((await storedEvents(page)).at(-1)).toMatchObject({ type: 'finished', reason: 'stopped' });
});

test('the tab, and with it every worker, is closed in mid-run: the data set is there and the run can be resumed', async ({
  page,
}) => {
  await open(page, someEpochs);
  await useSample(page);
  await startTraining(page);
  await expect
    .poll(async () => (await storedEvents(page)).some(({ type }) => type === 'checkpointSaved'), { timeout: 120_000 })
    .toBe(true);
  const context = page.context();
  page.on('dialog', (dialog) => void dialog.accept());
  await page.close({ runBeforeUnload: false });
  const next = await context.newPage();
  await open(next, someEpochs);
  await expect(next.getByRole('button', { name: 'Set up training' })).toBeVisible();
  await goTo(next, 'Train');
  await next
    .getByRole('button', { name: /^Resume/ })
    .first()
    .click();
  await testAccuracy(next, 200_000);
});

test('a second tab is told that training is under way elsewhere', async ({ page }) => {
  await open(page, { ...someEpochs, 'training.epochs': 200 });
  await useSample(page);
  await startTraining(page);
  await expect.poll(async () => (await storedEvents(page)).length, { timeout: 60_000 }).toBeGreaterThan(3);
  const second = await page.context().newPage();
  await open(second, someEpochs);
  await goTo(second, 'Train');
  await expect(second.getByText('This run is under way in another tab')).toBeVisible();
  await second.getByRole('button', { name: 'Set up a new run' }).click();
  await second.getByRole('button', { name: /^Train \d+ epochs?$/ }).click();
  await expectProblem(second, 'TrainingElsewhereError');
});

test('the trainer worker dies without a word: it is said, the data set is there, the run is resumed', async ({
  page,
}) => {
  await open(page, someEpochs);
  await useSample(page);
  await startTraining(page);
  await expect
    .poll(async () => (await storedEvents(page)).some(({ type }) => type === 'checkpointSaved'), { timeout: 120_000 })
    .toBe(true);
  const trainer = page.workers().find((worker) => worker.url().includes('trainer'));
  expect(trainer).toBeDefined();
  await trainer?.evaluate(() => globalThis.close()).catch(() => undefined);
  await expect(page.getByText(/was cut off|interrupted/).first()).toBeVisible({ timeout: 15_000 });
  await goTo(page, 'Data');
  await expect(page.getByRole('button', { name: 'Set up training' })).toBeVisible();
  await goTo(page, 'Train');
  await page
    .getByRole('button', { name: /^Resume/ })
    .first()
    .click();
  await testAccuracy(page, 200_000);
});
