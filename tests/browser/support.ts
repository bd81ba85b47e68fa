import { expect, type CDPSession, type Page } from '@playwright/test';
import JSZip from 'jszip';
import { drawSample } from '../../src/dataset/sample/drawSample.ts';
import type { SampleSettings } from '../../src/dataset/settings.ts';

export { fewSteps } from '../unit/support/fewSteps.ts';

/** Configuration overrides as they stand in the page's address after the `?`. */
export function queryOf(overrides: Readonly<Record<string, string | number>>): string {
  return new URLSearchParams(Object.entries(overrides).map(([key, value]) => [key, String(value)])).toString();
}

/** Some images of the sample as a zip, as somebody would bring them; another seed, other images. */
export async function zipOfSample(wanted: Omit<SampleSettings, 'size'>): Promise<Uint8Array> {
  const zip = new JSZip();
  for (const { path, png } of drawSample({ ...wanted, size: 64 })) zip.file(path, png);
  return zip.generateAsync({ type: 'uint8array', compression: 'STORE' });
}

/** Opens the page with configuration overrides: `{ 'training.epochs': 2 }`; a first visit has loaded itself once more when it is there. */
export async function open(page: Page, overrides: Readonly<Record<string, string | number>> = {}): Promise<void> {
  const query = queryOf(overrides);
  await page.goto(query === '' ? './' : `./?${query}`);
  await expect(page.locator('nav[aria-label=Steps]')).toBeVisible();
}

export async function goTo(
  page: Page,
  step: 'Data' | 'Train' | 'Evaluate' | 'Export' | 'Try' | 'Versions',
): Promise<void> {
  await page.locator(`nav[aria-label=Steps] a[href="#${step.toLowerCase()}"]`).click();
}

export async function useSample(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Use the sample data set' }).click();
  await expect(page.getByRole('button', { name: 'Set up training' })).toBeVisible({ timeout: 60_000 });
}

export async function startTraining(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Set up training' }).click();
  await page.getByRole('button', { name: /^Train \d+ epochs?$/ }).click();
}

/** Share of the Test split that was right, as the page shows it, 0–1. */
export async function testAccuracy(page: Page, timeout: number): Promise<number> {
  const figure = page.getByTestId('test-accuracy');
  await expect(figure).toBeVisible({ timeout });
  const text = await figure.innerText();
  const found = /(\d+(?:\.\d+)?)\s*%/.exec(text);
  if (!found) throw new Error(`No percentage in “${text}”.`);
  return Number(found[1]) / 100;
}

/** The named problem panel; checks that it says what happened, what was kept and what to do, then puts it away. */
export async function expectProblem(page: Page, name: string, timeout = 30_000): Promise<string> {
  const panel = page.locator(`[data-problem="${name}"]`).first();
  await expect(panel).toBeVisible({ timeout });
  const paragraphs = await panel.locator('p').allInnerTexts();
  expect(paragraphs.filter((text) => text.trim().length > 10).length).toBeGreaterThanOrEqual(3);
  await panel.getByRole('button', { name: /^Dismiss/ }).click();
  await expect(panel).toBeHidden();
  return paragraphs.join(' ');
}

/** Drops files on the page as a user does: a DataTransfer with real files, dragover, drop. */
export async function drop(
  page: Page,
  files: readonly { name: string; bytes: Uint8Array; type?: string }[],
): Promise<void> {
  const transfer = await page.evaluateHandle(
    (list) => {
      const data = new DataTransfer();
      for (const { name, base64, type } of list) {
        const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
        data.items.add(new File([bytes], name, { type }));
      }
      return data;
    },
    files.map(({ name, bytes, type }) => ({
      name,
      base64: Buffer.from(bytes).toString('base64'),
      type: type ?? 'application/octet-stream',
    })),
  );
  for (const event of ['dragenter', 'dragover', 'drop'])
    await page.dispatchEvent('body', event, { dataTransfer: transfer });
}

/** A folder of the browser's own file system in place of the system's dialog, which cannot be driven; all below it is real. */
export async function pickFolderOf(page: Page): Promise<void> {
  await page.addInitScript(() => {
    Object.assign(globalThis, {
      showDirectoryPicker: async () => {
        const root = await navigator.storage.getDirectory();
        return root.getDirectoryHandle('repository', { create: true });
      },
    });
  });
}

/**
 * Presses one button and, as soon as it is there, another: before anything can have come of the first. Returns the ms from there on until
 * the page says `said`.
 */
export function pressThen(page: Page, first: string, second: string, said: string): Promise<number> {
  return page.evaluate(
    async ([first, second, said]) => {
      const button = (name: string): HTMLButtonElement | undefined =>
        [...document.querySelectorAll('button')].find(({ textContent }) => textContent.trim() === name);
      button(first)?.click();
      for (let turn = 0; turn < 20 && button(second) === undefined; turn++)
        await new Promise((resolve) => {
          const { port1, port2 } = new MessageChannel();
          port1.onmessage = resolve;
          port2.postMessage(null);
        });
      const began = performance.now();
      button(second)?.click();
      while (!document.body.innerText.includes(said) && performance.now() - began < 5000)
        await new Promise((resolve) => requestAnimationFrame(resolve));
      return performance.now() - began;
    },
    [first, second, said] as const,
  );
}

/** Settings by which no certificate passes where anything is rounded at all. */
export const strict = {
  name: 'strict.yaml',
  bytes: new TextEncoder().encode(
    'output: { certificate: { max_difference: { float32: 1e-9, float16: 1e-9, eight_bit: 1e-9 } } }\n',
  ),
} as const;

/**
 * Traces the page's main thread from now on. `read()`: ms of processor time of each task over 50 (what else the machine does is no task of
 * the page), and the time watched. A long task that it plants at the end must be among them, and is left out.
 */
export async function watchMainThread(page: Page): Promise<() => Promise<{ lengths: number[]; seconds: number }>> {
  const browser = page.context().browser();
  if (!browser) throw new Error('No browser.');
  await browser.startTracing(page, { categories: ['-*', 'toplevel'] });
  const began = performance.now();
  return async () => {
    const seconds = (performance.now() - began) / 1000;
    // By the processor's clock it is shorter where the machine is busy.
    await page.evaluate(
      () =>
        new Promise<void>((resolve) =>
          setTimeout(() => {
            const until = performance.now() + 1000;
            while (performance.now() < until);
            resolve();
          }),
        ),
    );
    const { traceEvents } = JSON.parse(String(await browser.stopTracing())) as { traceEvents: TraceEvent[] };
    const nameOf = new Map(
      traceEvents.filter(({ name }) => name === 'thread_name').map((event) => [threadOf(event), event.args?.name]),
    );
    const lengths = traceEvents
      .filter((event) => event.name.endsWith('RunTask') && nameOf.get(threadOf(event)) === 'CrRendererMain')
      .sort((a, b) => a.ts - b.ts)
      .map(({ tdur = 0 }) => tdur / 1000)
      .filter((ms) => ms > 50);
    if ((lengths.pop() ?? 0) < 200) throw new Error('The planted task is not in the trace.');
    return { lengths, seconds };
  };
}

/** Of Chromium's trace; ts and tdur (processor time) in µs. */
interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

function threadOf({ pid, tid }: TraceEvent): string {
  return `${pid} ${tid}`;
}

/** Every address that the page and its workers ask for. */
export function watchRequests(page: Page): string[] {
  const asked: string[] = [];
  page.context().on('request', (request) => asked.push(request.url()));
  return asked;
}

export async function browserSession(page: Page): Promise<CDPSession> {
  const browser = page.context().browser();
  if (!browser) throw new Error('No browser.');
  return browser.newBrowserCDPSession();
}

interface StoredEvent {
  readonly type: string;
  readonly epoch?: number;
  readonly step?: number;
  readonly loss?: number;
  readonly fromEpoch?: number;
  readonly reason?: string;
  readonly best?: boolean;
  readonly train?: { readonly loss: number };
  readonly report?: { readonly loss: number; readonly probabilities: Readonly<Record<number, number>> };
}

/** The stored log of the newest run, straight out of IndexedDB. */
export async function storedEvents(page: Page): Promise<StoredEvent[]> {
  return page.evaluate(async () => {
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open('pacerid-runs');
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error('IndexedDB does not open.'));
    });
    const store = database.transaction('records').objectStore('records');
    const read = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error('IndexedDB does not answer.'));
      });
    const [keys, values] = await Promise.all([read(store.getAllKeys()), read(store.getAll() as IDBRequest<unknown[]>)]);
    database.close();
    const records = keys.map((key, i) => ({ key: String(key), value: values[i] }));
    const newest = records
      .filter(({ key }) => key.startsWith('run/'))
      .map(({ value }) => value as { id: string; createdAt: number })
      .sort((a, b) => b.createdAt - a.createdAt)[0];
    return records
      .filter(({ key }) => newest !== undefined && key.startsWith(`events/${newest.id}/`))
      .flatMap(({ value }) => value as StoredEvent[]);
  });
}

/**
 * What the page shows in Try for one Test image of each class, as the foreign judge reads it: the pixels that the network saw and
 * every probability with all its digits.
 */
export async function recordPredictions(page: Page, size: number): Promise<string> {
  await goTo(page, 'Try');
  const pictures = page.locator('[data-test-image]');
  await expect(pictures.first()).toBeVisible();
  const images: { rgb: string; probabilities: Record<string, number> }[] = [];
  for (let i = 0; i < (await pictures.count()); i++) {
    const path = await pictures.nth(i).getAttribute('data-test-image');
    await pictures.nth(i).click();
    await expect(page.getByTestId('prediction').locator('figcaption')).toContainText(`of ${path}:`);
    const seen = await page.locator('canvas[data-seen]').evaluate((canvas: HTMLCanvasElement) => {
      const context = canvas.getContext('2d');
      if (!context) throw new Error('The canvas has no 2d context.');
      const { data, width } = context.getImageData(0, 0, canvas.width, canvas.height);
      const rgb: number[] = [];
      for (let p = 0; p < data.length; p += 4) rgb.push(data[p] ?? 0, data[p + 1] ?? 0, data[p + 2] ?? 0);
      return { rgb, width };
    });
    expect(seen.width).toBe(size);
    const rows = await page
      .locator('[data-testid=prediction] li[data-label]')
      .evaluateAll((list) =>
        list.map((li) => [li.getAttribute('data-label'), Number(li.getAttribute('data-probability'))]),
      );
    const probabilities = Object.fromEntries(rows) as Record<string, number>;
    const sum = Object.values(probabilities).reduce((total, p) => total + p, 0);
    expect(sum).toBeCloseTo(1, 5);
    images.push({ rgb: Buffer.from(seen.rgb).toString('base64'), probabilities });
  }
  expect(images.length).toBeGreaterThanOrEqual(6);
  const labels = Object.keys(images[0]?.probabilities ?? {}).sort();
  return JSON.stringify({ imageSize: size, labels, images });
}
