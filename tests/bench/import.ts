/**
 * A zip of 400 MB with 1,100 images of 1–2 megapixels is imported in Chromium: time, memory, and what a cancel leaves behind.
 *
 *     npm run bench -- import [FILE.zip]    (a file of your own instead of the made one)
 *
 * Memory is the resident memory (VmRSS) of Chromium's renderer process, page and workers together, and of all its processes;
 * Linux only. The page is served by `npm start`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Page } from '@playwright/test';

const zip = process.argv[2] ?? join(tmpdir(), 'pacerid-big.zip');
const port = '4179';
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';

if (!existsSync(zip)) {
  const made = spawnSync(process.execPath, ['scripts/run.mjs', 'tests/tools/makeBigZip.ts', zip], { stdio: 'inherit' });
  if (made.status !== 0) process.exit(1);
}

const site = spawn(process.execPath, ['scripts/start.mjs', '--port', port, '--strict-port', '--no-open'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
await new Promise<void>((resolve) => {
  site.stdout.on('data', (text: Buffer) => text.includes('PacerID Studio is at') && resolve());
});

const profile = join(tmpdir(), `pacerid-import-${Date.now()}`);
const context = await chromium.launchPersistentContext(profile, { executablePath, args: ['--no-sandbox'] });
const page = await context.newPage();
await page.goto(`http://localhost:${port}/`);
await page.evaluate(() => {
  const input = document.createElement('input');
  Object.assign(input, { type: 'file', id: 'bench-input', hidden: true });
  document.body.append(input);
});
// Tasks of the page itself, ms: an import must not hold it up.
await page.evaluate(() => {
  const tasks: number[] = [];
  Object.assign(globalThis, { benchTasks: tasks });
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration))).observe({
    type: 'longtask',
  });
});

const before = memory();
console.log(`before: renderers ${before.renderer} MiB, all of Chromium ${before.all} MiB`);
await dropZip(page);
await page.getByRole('button', { name: 'Cancel the import' }).waitFor();
await page.waitForTimeout(5000);
const cancelled = performance.now();
await page.getByRole('button', { name: 'Cancel the import' }).click();
await page
  .locator('[data-problem="ImportCancelledError"], button:has-text("Use the sample data set")')
  .first()
  .waitFor();
console.log(
  `cancelled in ${((performance.now() - cancelled) / 1000).toFixed(1)} s; left in storage: ${await stored(page)} records`,
);
await page.reload();
await page.evaluate(() => {
  const input = document.createElement('input');
  Object.assign(input, { type: 'file', id: 'bench-input', hidden: true });
  document.body.append(input);
});

let peakRenderer = 0;
let peakAll = 0;
const watch = setInterval(() => {
  const now = memory();
  peakRenderer = Math.max(peakRenderer, now.renderer);
  peakAll = Math.max(peakAll, now.all);
}, 250);
const started = performance.now();
await dropZip(page);
await page.getByRole('button', { name: 'Cancel the import' }).waitFor();
await page.getByRole('button', { name: 'Set up training' }).waitFor({ timeout: 1_200_000 });
const seconds = (performance.now() - started) / 1000;
clearInterval(watch);
console.log(`imported in ${seconds.toFixed(1)} s: ${await storedImages(page)} images in ${await stored(page)} records`);
console.log(`peak memory: renderers ${peakRenderer} MiB, all of Chromium ${peakAll} MiB`);
await context.close();
site.kill();
process.exit(0);

async function dropZip(on: Page): Promise<void> {
  await on.locator('#bench-input').setInputFiles(zip);
  const transfer = await on.evaluateHandle(() => {
    const data = new DataTransfer();
    const file = document.querySelector<HTMLInputElement>('#bench-input')?.files?.[0];
    if (file) data.items.add(file);
    return data;
  });
  for (const event of ['dragenter', 'dragover', 'drop'])
    await on.dispatchEvent('body', event, { dataTransfer: transfer });
}

/** Records of the database of data sets. */
function stored(on: Page): Promise<number> {
  return on.evaluate(async () => {
    const database = await new Promise<IDBDatabase>((resolve) => {
      const request = indexedDB.open('pacerid-datasets');
      request.onsuccess = () => resolve(request.result);
    });
    const count = database.transaction('records').objectStore('records').count();
    const n = await new Promise<number>((resolve) => (count.onsuccess = () => resolve(count.result)));
    database.close();
    return n;
  });
}

function storedImages(on: Page): Promise<number> {
  return on.evaluate(async () => {
    const database = await new Promise<IDBDatabase>((resolve) => {
      const request = indexedDB.open('pacerid-datasets');
      request.onsuccess = () => resolve(request.result);
    });
    const store = database.transaction('records').objectStore('records');
    const found = store.getAll(IDBKeyRange.bound('dataset/', 'dataset/\uffff')) as IDBRequest<{ images: unknown[] }[]>;
    const n = await new Promise<number>(
      (resolve) => (found.onsuccess = () => resolve(found.result[0]?.images.length ?? 0)),
    );
    database.close();
    return n;
  });
}

/** Resident memory of the Chromium that has our profile, and of its descendants, MiB. */
function memory(): { renderer: number; all: number } {
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        const number = (key: string): number => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
        return [{ pid: Number(pid), parent: number('PPid'), mebibytes: Math.round(number('VmRSS') / 1024), command }];
      } catch {
        // It has ended meanwhile.
        return [];
      }
    });
  const ours = new Set(processes.filter(({ command }) => command.includes(profile)).map(({ pid }) => pid));
  for (let size = -1; size !== ours.size;) {
    size = ours.size;
    for (const { pid, parent } of processes) if (ours.has(parent)) ours.add(pid);
  }
  const own = processes.filter(({ pid }) => ours.has(pid));
  const sum = (some: typeof own): number => some.reduce((total, { mebibytes }) => total + mebibytes, 0);
  return { renderer: sum(own.filter(({ command }) => command.includes('--type=renderer'))), all: sum(own) };
}
