import { readFileSync, readdirSync, statSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from '@playwright/test';
import JSZip from 'jszip';
import { drawSample } from '../../src/dataset/sample/drawSample.ts';
import { builtModules } from './builtModules.ts';
import { staticSite } from './staticSite.ts';
import { drop } from './support.ts';

const kB = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`;

test('what a first visit loads before the page can be used: at most 150 kB of JavaScript, gzipped', async ({
  page,
}) => {
  const built = builtModules('dist');
  // The document's scripts at the very moment when the Data view stands: what it fetches while idle comes later.
  await page.addInitScript(() => {
    const observer = new MutationObserver(() => {
      if (!/^Drop a zip/.test(document.querySelector('h1')?.textContent ?? '')) return;
      observer.disconnect();
      const loaded = performance.getEntriesByType('resource').map(({ name }) => name);
      Object.assign(globalThis, { loadedAtFirst: loaded });
    });
    observer.observe(document, { subtree: true, childList: true, characterData: true });
  });
  const site = await staticSite('dist');
  await page.goto(site.url);
  const loaded = await page.waitForFunction(() => (globalThis as { loadedAtFirst?: string[] }).loadedAtFirst);
  const scripts = (await loaded.jsonValue())
    ?.map((url) => /\/assets\/([^/?]+\.js)$/.exec(url)?.[1])
    .filter((name) => name !== undefined);
  await site.close();

  // The Data view waits for the list of this worker; that no other worker is waited for is the test below.
  const first = built.closure([...built.first, ...(scripts ?? []).filter((name) => !name.includes('.worker-'))], false);
  const worker = built.closure([built.named('dataset.worker-')], false);
  expect(first.length).toBeGreaterThan(3);
  expect(scripts).toEqual(expect.arrayContaining(built.closure(built.first, false)));
  const service = gzipSync(readFileSync('dist/serviceWorker.js'), { level: 9 }).length;
  const sizes = [...new Set([...first, ...worker])].map((name): [string, number] => [name, built.gzipped(name)]);
  const total = [['serviceWorker.js', service] as [string, number], ...sizes].sort(([, a], [, b]) => b - a);
  for (const [name, bytes] of total) console.log(`${kB(bytes).padStart(10)}  ${name}`);
  const sum = total.reduce((all, [, bytes]) => all + bytes, 0);
  console.log(`${kB(sum).padStart(10)}  first view, gzipped`);
  expect(sum).toBeLessThanOrEqual(150_000);
});

for (const folder of ['dist', 'dist/demo'])
  test(`no script of the page in ${folder} has any tensor library: only its workers have`, () => {
    const built = builtModules(folder);
    const ofPage = built.closure(built.first, true);
    const ofWorkers = built.closure(
      built.names.filter((name) => name.includes('.worker-')),
      true,
    );
    const withTensors = built.names.filter((name) => built.hasTensors(name));
    expect(ofPage.length).toBeGreaterThan(0);
    expect(withTensors.length).toBeGreaterThan(1);
    expect(ofPage.filter((name) => withTensors.includes(name))).toEqual([]);
    expect(withTensors.filter((name) => !ofWorkers.includes(name) && !/wasm/.test(name))).toEqual([]);
    // Every script is one or the other: a chunk that this test doesn't see would be neither.
    expect(built.names.filter((name) => !ofPage.includes(name) && !ofWorkers.includes(name))).toEqual([]);
  });

test('a zip can be imported and looked at while no tensor code has come yet', async ({ page }) => {
  const built = builtModules('dist');
  const tensors = new Set(built.names.filter((name) => built.hasTensors(name)));
  for (const worker of ['trainer.worker-', 'model.worker-']) expect(tensors).toContain(built.named(worker));
  const held = new Map<string, (() => void)[]>();
  let hold = true;
  const site = await staticSite('dist', {
    answer: (path, _request, response: ServerResponse) => {
      const name = path.replace('assets/', '');
      if (!hold || !tensors.has(name)) return false;
      const send = (): void =>
        void response.writeHead(200, { 'content-type': 'text/javascript' }).end(readFileSync(join('dist', path)));
      held.set(name, [...(held.get(name) ?? []), send]);
      return true;
    },
  });
  await page.goto(site.url);
  const zip = new JSZip();
  for (const { path, png } of drawSample({ seed: 3, classes: 4, train_per_class: 6, test_per_class: 2, size: 64 }))
    zip.file(path, png);
  await expect(page.getByRole('heading', { name: /^Drop a zip/ })).toBeVisible();
  await drop(page, [{ name: 'devices.zip', bytes: await zip.generateAsync({ type: 'uint8array' }) }]);
  await expect(page.getByRole('button', { name: 'Set up training' })).toBeVisible();
  await expect(page.getByRole('banner')).toContainText(/32\simages · 4\sclasses/);
  await expect(page.locator('main canvas').first()).toBeVisible();
  // It was asked for, to see what this computer can do, and has not come.
  expect([...held.keys()]).toContain(built.named('trainer.worker-'));
  await expect(page.getByRole('button', { name: 'Looking at this computer …' })).toBeVisible();

  hold = false;
  for (const send of [...held.values()].flat()) send();
  await expect(page.getByRole('button', { name: /^WebAssembly/ })).toBeVisible({ timeout: 30_000 });
  await site.close();
});

test('the whole page stays small enough to carry', () => {
  // Not the exported demo's page, nor what hosts lay beside it.
  const apart = /^(demo|weights|sets|models)\//;
  const files = readdirSync('dist', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).replaceAll('\\', '/').slice('dist/'.length))
    .filter((path) => !apart.test(path));
  const sum = (paths: readonly string[]): number =>
    paths.reduce((all, path) => all + statSync(join('dist', path)).size, 0);
  for (const end of ['.js', '.wasm', '.css'])
    console.log(`${kB(sum(files.filter((path) => path.endsWith(end)))).padStart(10)}  ${end}`);
  console.log(`${kB(sum(files)).padStart(10)}  all of ${files.length} files`);
  expect(sum(files)).toBeLessThan(9_500_000);
});
