import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test, type Page, type Worker } from '@playwright/test';
import JSZip from 'jszip';
import { staticSite } from './staticSite.ts';
import { drop, fewSteps, goTo, queryOf, startTraining, testAccuracy, watchRequests, zipOfSample } from './support.ts';

const month = { classes: 4, train_per_class: 8, test_per_class: 2 };

/** Notes what the policy refuses, in the page and in each of its workers as they come. */
async function watchViolations(page: Page): Promise<() => Promise<string[]>> {
  const note = (): void => {
    const seen: string[] = [];
    Object.assign(globalThis, { violations: seen });
    addEventListener('securitypolicyviolation', (event) => {
      const { violatedDirective, blockedURI } = event as SecurityPolicyViolationEvent;
      seen.push(`${violatedDirective} ${blockedURI}`);
    });
  };
  await page.addInitScript(note);
  page.on('worker', (worker) => void worker.evaluate(note).catch(() => undefined));
  const read = (): string[] => (globalThis as unknown as { violations?: string[] }).violations ?? [];
  return async () => {
    const all = await Promise.all([page.evaluate(read), ...page.workers().map((worker) => worker.evaluate(read))]);
    return all.flat();
  };
}

/** What comes of asking a foreign server for something, of evaluating text, and of a script from elsewhere. */
async function tryToGetOut(where: Page | Worker, foreign: string): Promise<Readonly<Record<string, string>>> {
  return (where as Worker).evaluate(async (address) => {
    const outcome = async (work: () => unknown): Promise<string> => {
      try {
        await work();
        return 'went through';
      } catch (error) {
        return error instanceof Error ? error.name : String(error);
      }
    };
    return {
      fetch: await outcome(() => fetch(address)),
      post: await outcome(() => fetch(address, { method: 'POST', body: 'pixels', mode: 'no-cors' })),
      socket: await outcome(
        () =>
          new Promise((resolve, reject) => {
            const socket = new WebSocket(address.replace('http', 'ws'));
            socket.onopen = resolve;
            socket.onerror = () => reject(new Error('refused'));
          }),
      ),
      evaluate: await outcome(() => new Function('return 1')() as unknown),
      script: await outcome(() => import(/* @vite-ignore */ `${address}script.js`)),
      isolated: String(crossOriginIsolated),
    };
  }, foreign);
}

test('after one visit the laptop never sees a network again: import, train, evaluate, export, retrain, try', async ({
  page,
  context,
}) => {
  const asked = watchRequests(page);
  const violations = await watchViolations(page);
  const site = await staticSite('dist');
  const query = queryOf({ ...fewSteps, 'model.architecture': 'tiny', 'model.pretrained': 'false' });
  await page.goto(`${site.url}?${query}`);
  await expect(page.getByTestId('offline')).toBeVisible({ timeout: 60_000 });
  const devtools = await context.newCDPSession(page);
  expect((await devtools.send('Page.getAppManifest')).errors).toEqual([]);
  // Playwright's contexts are incognito windows, in which nothing can be installed.
  const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors');
  expect(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== 'in-incognito')).toEqual([]);
  await site.close();
  await context.setOffline(true);

  await page.reload();
  await expect(page.getByRole('heading', { name: /^Drop a zip/ })).toBeVisible();
  await drop(page, [{ name: 'november.zip', bytes: await zipOfSample({ seed: 1, ...month }) }]);
  await startTraining(page);
  await testAccuracy(page, 60_000);

  await goTo(page, 'Export');
  const coming = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download PacerIDClassifier.mlpackage' }).click();
  const exported = await JSZip.loadAsync(await readAll(await (await coming).createReadStream()));
  expect(Object.keys(exported.files)).toContain('PacerIDClassifier.mlpackage/Manifest.json');

  await drop(page, [{ name: 'december.zip', bytes: await zipOfSample({ seed: 2, ...month }) }]);
  await page.getByRole('button', { name: /^Add to november/ }).click();
  await expect(page.getByTestId('added')).toContainText(/40\simages added from december/);
  await goTo(page, 'Train');
  await page.getByRole('button', { name: 'Set up a new run' }).click();
  await page.getByRole('radio', { name: /^A trained model/ }).check();
  await page.getByRole('button', { name: 'Train 1 epoch' }).click();
  await testAccuracy(page, 60_000);

  await goTo(page, 'Try');
  await page.locator('[data-test-image]').first().click();
  await expect(page.getByTestId('prediction').locator('li[data-label]')).toHaveCount(4);

  // A second visit without a network finds all of it.
  await page.reload();
  await goTo(page, 'Try');
  await expect(page.locator('[data-test-image]').first()).toBeVisible();

  const { origin } = new URL(site.url);
  expect(asked.length).toBeGreaterThan(20);
  expect(asked.filter((url) => !/^(blob|data):/.test(url) && new URL(url).origin !== origin)).toEqual([]);
  expect(await violations()).toEqual([]);
});

test('nothing gets out of the page or of any of its workers, whatever the code says', async ({ page }) => {
  let reached = 0;
  const foreign = createServer((_, response) => {
    reached += 1;
    response.writeHead(200, { 'access-control-allow-origin': '*', 'content-type': 'text/javascript' }).end('export {}');
  });
  await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve));
  const elsewhere = `http://localhost:${(foreign.address() as AddressInfo).port}/`;
  expect((await fetch(elsewhere)).ok).toBe(true);
  reached = 0;
  const site = await staticSite('dist');
  await page.goto(`${site.url}?${queryOf(fewSteps)}`);
  await page.getByRole('button', { name: 'Use the sample data set' }).click();
  await startTraining(page);
  await testAccuracy(page, 60_000);
  await goTo(page, 'Try');
  await page.locator('[data-test-image]').first().click();
  await expect(page.getByTestId('prediction')).toBeVisible();

  const named = (which: string): Worker => {
    const worker = page.workers().find((one) => one.url().includes(`${which}.worker`));
    if (!worker) throw new Error(`There is no ${which} worker.`);
    return worker;
  };
  for (const where of [page, named('dataset'), named('trainer'), named('model')])
    expect(await tryToGetOut(where, elsewhere)).toEqual({
      fetch: 'TypeError',
      post: 'TypeError',
      socket: expect.stringMatching(/Error/) as unknown,
      evaluate: 'EvalError',
      script: 'TypeError',
      isolated: 'true',
    });
  expect(reached).toBe(0);
  await site.close();
  await new Promise((resolve) => foreign.close(resolve));
});

test('what a host changed on the way is not kept, and the page says so', async ({ page }) => {
  let wrong = true;
  const site = await staticSite('dist', {
    answer: (path, _request, response) => {
      if (!wrong || path !== 'icon-512.png') return false;
      response.writeHead(200, { 'content-type': 'image/png' }).end('something else');
      return true;
    },
  });
  await page.goto(site.url);
  await page.getByRole('button', { name: 'This computer', exact: true }).click();
  const panel = page.getByRole('dialog');
  await expect(panel).toContainText(/files of this page could not be fetched/, { timeout: 30_000 });
  await page.keyboard.press('Escape');
  await expect(page.getByTestId('offline')).toHaveCount(0);
  // Documents come last: should the host have a newer build by the next visit, none of this one asks for files that are gone.
  const kept = await page.evaluate(async () => {
    const stores = await Promise.all((await caches.keys()).map(async (name) => (await caches.open(name)).keys()));
    return stores.flat().map(({ url }) => new URL(url).pathname);
  });
  expect(kept.length).toBeGreaterThan(0);
  expect(kept.filter((path) => path.endsWith('.html'))).toEqual([]);
  wrong = false;
  await page.getByRole('button', { name: 'This computer', exact: true }).click();
  await panel.getByRole('button', { name: 'Try again' }).click();
  await expect(panel.getByTestId('offline-ready')).toBeVisible({ timeout: 30_000 });
  await site.close();
});

async function readAll(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
