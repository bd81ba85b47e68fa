import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, type Browser, type Page } from '@playwright/test';
import { engineSite, ordered } from './engineSite.ts';
import { staticSite, type StaticSite } from './staticSite.ts';
import { fewSteps, goTo, queryOf, startTraining, storedEvents, testAccuracy, useSample } from './support.ts';

const untrained = { ...fewSteps, 'model.architecture': 'tiny', 'model.pretrained': 'false', 'training.device': 'wasm' };

/** The built page for a laptop with four processors, wherever this runs; without the thread's script where `threadless`. */
async function pageSite({ threadless = false } = {}): Promise<StaticSite> {
  return staticSite('dist', {
    answer: (path, _request, response) => {
      if (threadless && /wasmThread/.test(path)) {
        response.writeHead(404).end();
        return true;
      }
      if (!/^assets\/(trainer|model)\.worker/.test(path)) return false;
      const laptop = "Object.defineProperty(navigator, 'hardwareConcurrency', { value: 4 });\n";
      response.writeHead(200, { 'content-type': 'text/javascript' });
      response.end(laptop + readFileSync(join('dist', path), 'utf8'));
      return true;
    },
  });
}

/** Trains in a profile of its own; the page is isolated by its service worker, where it may have one. */
async function trained(browser: Browser, site: StaticSite, serviceWorkers: 'allow' | 'block') {
  const context = await browser.newContext({ serviceWorkers });
  const page = await context.newPage();
  const refused: string[] = [];
  page.on('console', (message) => {
    if (/Content Security Policy/.test(message.text())) refused.push(message.text());
  });
  await page.goto(`${site.url}?${queryOf(untrained)}`);
  await useSample(page);
  const promised = await deviceLabel(page);
  await startTraining(page);
  await testAccuracy(page, 60_000);
  // The second engine: the model's worker, while the trainer's is still there.
  await goTo(page, 'Try');
  await page.locator('[data-test-image]').first().click();
  await expect(page.getByTestId('prediction').locator('li[data-label]')).toHaveCount(6);
  const isolated = await page.evaluate(() => crossOriginIsolated);
  const events = await storedEvents(page);
  const losses = events.filter(({ type }) => type === 'step').map(({ loss }) => loss);
  const shown = await page.getByTestId('prediction').locator('li[data-label]').evaluateAll(probabilities);
  await goTo(page, 'Train');
  const run = await page.locator('dd', { hasText: 'WebAssembly' }).innerText();
  const notices = await page.locator('.note').allInnerTexts();
  await context.close();
  return { isolated, promised, run, losses, shown, notices: notices.join('\n'), refused };
}

function probabilities(list: Element[]): [string | null, string | null][] {
  return list.map((li) => [li.getAttribute('data-label'), li.getAttribute('data-probability')]);
}

/** What “This computer” says that training will run on. */
async function deviceLabel(page: Page): Promise<string> {
  await page.getByRole('button', { name: 'This computer', exact: true }).click();
  const label = await page.getByTestId('device-label').innerText();
  await page.keyboard.press('Escape');
  return label;
}

test('an isolated page trains with threads, and gives the numbers of one thread to the bit', async ({ browser }) => {
  const site = await pageSite();
  const threaded = await trained(browser, site, 'allow');
  const single = await trained(browser, site, 'block');
  await site.close();

  expect(threaded).toMatchObject({ isolated: true, promised: 'WebAssembly, SIMD, 2 threads', refused: [] });
  expect(threaded.run).toBe('WebAssembly, SIMD, 2 threads');
  expect(threaded.notices).not.toContain('thread');
  expect(single).toMatchObject({ isolated: false, run: 'WebAssembly, SIMD, 1 thread' });
  expect(threaded.losses.length).toBeGreaterThan(2);
  expect(threaded.losses).toEqual(single.losses);
  expect(threaded.shown).toEqual(single.shown);
});

test('a host that lacks the thread’s script: one thread, and the page says so', async ({ browser }) => {
  const site = await pageSite({ threadless: true });
  const { isolated, run, notices, losses } = await trained(browser, site, 'allow');
  await site.close();
  expect({ isolated, run }).toEqual({ isolated: true, run: 'WebAssembly, SIMD, 1 thread' });
  expect(notices).toContain('one thread only');
  expect(losses.length).toBeGreaterThan(2);
});

test('two engines at once, heaps that grow, and tensors beyond 2 GiB: the numbers of one thread to the bit', async ({
  page,
}) => {
  const site = await engineSite();
  await page.goto(site.url);
  const network = { kind: 'steps', architecture: 'mobilenet_v3_small', size: 64, batch: 8, steps: 3 } as const;
  const single = await ordered(page, { ...network, threads: 1 });
  const several = await Promise.all([
    ordered(page, { ...network, threads: 2 }),
    ordered(page, { ...network, threads: 3, held: 2.5 * 2 ** 30 }),
  ]);
  expect(several.map(({ label }) => label)).toEqual(['WebAssembly, SIMD, 2 threads', 'WebAssembly, SIMD, 3 threads']);
  expect(single.losses).toHaveLength(3);
  for (const { losses } of several) expect(losses).toEqual(single.losses);
  await site.close();
});

test('a full heap of a threaded engine is an error with a name, and the engine goes on when there is room', async ({
  page,
}) => {
  const site = await engineSite();
  await page.goto(site.url);
  const [single, several] = [
    await ordered(page, { kind: 'fill', threads: 1 }),
    await ordered(page, { kind: 'fill', threads: 2 }),
  ];
  for (const { named, bytes } of [single, several]) {
    expect(named).toBe(true);
    expect(bytes).toBeGreaterThan(2 ** 30);
  }
  console.log(`full at ${[single, several].map(({ bytes }) => bytes / 2 ** 20).join(' and ')} MiB`);
  expect(several.losses).toEqual(single.losses);
  await site.close();
});

test('a thread that does not come is waited for only so long', async ({ page }) => {
  const scripts: Readonly<Record<string, string>> = {
    'breaks.js': 'throw new Error("no thread today")',
    'breaksLater.js': 'onmessage = () => { throw new Error("no thread tonight") }',
  };
  const site = await engineSite((path, _request, response) => {
    if (path === 'stalls.js') return true;
    const script = scripts[path];
    if (script === undefined) return false;
    response.writeHead(200, { 'content-type': 'text/javascript' }).end(script);
    return true;
  });
  await page.goto(site.url);
  const start = async (thread: string, patience: number) => {
    const { failure, milliseconds } = await ordered(page, { kind: 'start', threads: 4, thread, patience });
    expect(milliseconds).toBeLessThan(20_000);
    return failure;
  };
  expect(await start(`${site.url}missing.js`, 60_000)).toContain('could not be loaded');
  expect(await start(`${site.url}breaks.js`, 60_000)).toContain('no thread today');
  expect(await start(`${site.url}breaksLater.js`, 60_000)).toContain('no thread tonight');
  expect(await start(`${site.url}stalls.js`, 500)).toContain('in time');
  // Of another origin, which the policy forbids.
  expect(await start('http://localhost:1/thread.js', 60_000)).not.toBeNull();
  await site.close();
});
