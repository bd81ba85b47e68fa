import { createHash } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { expect, test, type Page } from '@playwright/test';
import { build } from 'vite';
import type { loadPretrained } from '../../src/weights/pretrained.ts';
import { serve } from '../unit/weights/weightServer.ts';
import { staticSite } from './staticSite.ts';
import { fewSteps, queryOf, startTraining, storedEvents, useSample } from './support.ts';
import { otherNetwork } from './weightFiles.ts';

const bytes = otherNetwork();
const sha256 = createHash('sha256').update(bytes).digest('hex');
const HALF = Math.floor(bytes.length / 2);

test('weights beside the page whose connection broke in the middle go on where it broke, through the service worker', async ({
  page,
}) => {
  const asked: (string | undefined)[][] = [];
  const site = await staticSite('dist', {
    answer: (path, request, response) => {
      if (path !== 'weights/tiny.safetensors') return false;
      asked.push([request.headers.range, request.headers['if-range']?.toString()]);
      serve(request, response, bytes, asked.length === 1 ? { cutAfter: HALF } : {});
      return true;
    },
  });
  const settings = { ...fewSteps, 'model.architecture': 'tiny', 'model.pretrained': 'true', 'training.layers': 'head' };
  await page.goto(`${site.url}?${queryOf(settings)}`);
  await useSample(page);
  await startTraining(page);
  const origins = async () => (await storedEvents(page)).filter(({ type }) => type === 'weightsReady');
  await expect
    .poll(origins, { timeout: 30_000 })
    .toMatchObject([{ origin: { kind: 'pretrained', name: 'tiny.safetensors from this page’s host', sha256 } }]);
  expect(asked).toEqual([
    [undefined, undefined],
    [`bytes=${HALF}-`, '"1"'],
  ]);
  await site.close();
});

/** A host of another origin that lets any page read its files, shows none of their headers, and refuses to be asked beforehand. */
async function host(answer: RequestListener): Promise<{ url: string; asked: string[]; server: Server }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.range ?? 'whole'}`);
    response.setHeader('access-control-allow-origin', '*');
    if (request.method === 'OPTIONS') return void response.writeHead(403).end();
    answer(request, response);
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, server };
}

/** Loads weights from there in a page of another origin, with nothing but the module that does it. */
async function loaded(page: Page, url: string) {
  const folder = resolve('output/downloadSite');
  await build({
    configFile: false,
    publicDir: false,
    logLevel: 'error',
    build: {
      outDir: folder,
      lib: { entry: 'src/weights/pretrained.ts', formats: ['es'], fileName: 'pretrained' },
    },
  });
  const site = await staticSite(folder, {
    answer: (path, _, response) => {
      if (path !== '') return false;
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>');
      return true;
    },
  });
  await page.goto(site.url);
  const found = await page.evaluate(
    async ([base, address, digest]) => {
      const module = (await import(`${base}pretrained.js`)) as { loadPretrained: typeof loadPretrained };
      const waits: string[] = [];
      const { record } = await module.loadPretrained('densenet121', {
        fetch: fetch.bind(globalThis),
        cache: {
          list: () => Promise.resolve([]),
          get: () => Promise.resolve(undefined),
          set: () => Promise.resolve(),
          delete: () => Promise.resolve(),
        },
        base,
        now: 0,
        patience: { tries: 5, firstWait: 50, longestWait: 100, stall: 20_000 },
        sources: [{ name: 'theirs', url: address, sha256: digest, bytes: null, license: '' }],
        onProgress: ({ waiting }) => {
          if (waiting !== null) waits.push(waiting);
        },
      });
      return { sha256: record.sha256, verified: record.verified, waits: waits.length };
    },
    [site.url, url, sha256] as const,
  );
  await site.close();
  return found;
}

test('weights of another origin whose connection broke go on where it broke, without a preflight', async ({ page }) => {
  const there = await host((request, response) =>
    serve(request, response, bytes, request.headers.range === undefined ? { cutAfter: HALF } : {}),
  );
  expect(await loaded(page, `${there.url}/model`)).toEqual({ sha256, verified: true, waits: 1 });
  expect(there.asked).toEqual(['GET /model whole', `GET /model bytes=${HALF}-`]);
  there.server.close();
});

test('weights behind a redirect to a store of a third origin come whole, too, after their connection broke', async ({
  page,
}) => {
  let cut = false;
  const store = await host((request, response) => {
    const first = !cut;
    cut = true;
    serve(request, response, bytes, first ? { cutAfter: HALF } : {});
  });
  const hub = await host((_, response) => void response.writeHead(302, { location: `${store.url}/blob` }).end());
  expect(await loaded(page, `${hub.url}/model`)).toMatchObject({ sha256, verified: true });
  // A browser that asked the store beforehand would be refused, and the last tries would ask for all of it.
  expect(store.asked).toEqual(['GET /blob whole', `GET /blob bytes=${HALF}-`]);
  for (const one of [hub, store]) one.server.close();
});
