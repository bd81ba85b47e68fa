import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { architectures, buildGraph } from '../../../src/architectures/index.ts';
import { architectureNames } from '../../../src/architectures/settings.ts';
import { mayFetch } from '../../../src/hosts.ts';
import { weightStore } from '../../../src/platform/node/weightStore.ts';
import { checksumInName } from '../../../src/weights/checksumInName.ts';
import { ChecksumError, DownloadCancelledError, WeightsUnavailableError } from '../../../src/weights/errors.ts';
import { loadPretrained, type PretrainedOptions } from '../../../src/weights/pretrained.ts';
import { writeSafetensors } from '../../../src/weights/safetensors.ts';
import { downloadable, weightSources, type Downloadable } from '../../../src/weights/sources.ts';
import type { DownloadProgress } from '../../../src/weights/types.ts';
import { formulaWeights } from '../support/formulaWeights.ts';

const bytes = writeSafetensors(new Map([['a', { shape: [100_000], data: new Float32Array(100_000).fill(2) }]]));
const sha256 = createHash('sha256').update(bytes).digest('hex');

let server: Server;
let answer: RequestListener;
let asked: string[];
let origin: string;
let folder: string;

beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  folder = mkdtempSync(join(tmpdir(), 'weights-'));
});
afterEach(() => {
  server.closeAllConnections();
  return new Promise<void>((resolve) => server.close(() => resolve()));
});

const whole: RequestListener = (_, response) => {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes.length });
  response.end(bytes);
};
const missing: RequestListener = (_, response) => void response.writeHead(404).end();
const hub: RequestListener = (request, response) =>
  request.url?.startsWith('/hub/') ? whole(request, response) : missing(request, response);

const source = (checksum: string | null = sha256): Downloadable => ({
  name: 'hub/model',
  url: `${origin}/hub/model.safetensors`,
  sha256: checksum,
  bytes: null,
  license: 'MIT',
});
const load = (options: Partial<PretrainedOptions> = {}) =>
  loadPretrained('densenet121', {
    fetch,
    cache: weightStore(folder),
    base: `${origin}/studio/`,
    now: 1000,
    sources: [source()],
    ...options,
  });

describe('pretrained weights', () => {
  it('takes the file beside the page first', async () => {
    answer = whole;
    const { record, file } = await load();
    expect(asked).toEqual(['/studio/weights/densenet121.safetensors']);
    expect(file.tensors.get('a')?.data[99_999]).toBe(2);
    expect(record).toMatchObject({ sha256, verified: true, bytes: bytes.length, savedAt: 1000, warnings: [] });
  });

  it('says of a file beside the page that is not the hub’s that nobody has vouched for it', async () => {
    answer = whole;
    const { record } = await load({ sources: [source('0'.repeat(64))] });
    expect(record).toMatchObject({ sha256, verified: false });
    expect(record.warnings.join()).toContain('unverified');
  });

  it('goes on to the hub, meets its checksum, and tells how far it is', async () => {
    answer = hub;
    const progress: DownloadProgress[] = [];
    const { record, fromCache } = await load({ onProgress: (step) => progress.push(step) });
    expect(fromCache).toBe(false);
    expect(record).toMatchObject({ name: 'hub/model', verified: true, warnings: [] });
    const [doneBytes, totalBytes] = [bytes.length, bytes.length];
    expect(progress.at(-1)).toMatchObject({ url: source().url, doneBytes, totalBytes, waiting: null });
    expect(progress.every(({ doneBytes }, i) => i === 0 || doneBytes > progress[i - 1]!.doneBytes)).toBe(true);
  });

  it('works offline the second time', async () => {
    answer = hub;
    await load();
    asked = [];
    const offline = () => Promise.reject(new TypeError('Failed to fetch'));
    const { record, fromCache, file } = await load({ fetch: offline });
    expect([fromCache, record.sha256, file.tensors.size, asked.length]).toEqual([true, sha256, 1, 0]);
  });

  it('does not mistake a web page for the file', async () => {
    answer = (request, response) =>
      request.url?.startsWith('/hub/')
        ? whole(request, response)
        : void response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<!doctype html>');
    expect((await load()).record.name).toBe('hub/model');
  });

  it('says where it looked when nobody has them', async () => {
    answer = missing;
    const error = await load().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(WeightsUnavailableError);
    expect((error as WeightsUnavailableError).message).toContain(`${source().url}: HTTP 404`);
    expect((error as WeightsUnavailableError).remedy).toMatch(/drop another .safetensors or .pth file/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([
    ['with a length', { 'content-length': String(bytes.length) }],
    ['without a length', {}],
  ])('keeps nothing of a connection that broke (%s)', async (_, headers) => {
    answer = (_request, response) => {
      response.writeHead(200, headers);
      response.write(bytes.subarray(0, 5000), () => response.destroy());
    };
    const patience = { tries: 2, firstWait: 10, longestWait: 10, stall: 30_000 };
    await expect(load({ patience })).rejects.toThrow(WeightsUnavailableError);
    await expect(load({ patience })).rejects.toThrow('the connection failed');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('keeps nothing of an answer that ends early without saying so', async () => {
    answer = (_request, response) => void response.writeHead(200).end(bytes.subarray(0, 5000));
    await expect(load({ sources: [source(null)] })).rejects.toThrow('not a whole weights file');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('refuses a file with another checksum', async () => {
    answer = hub;
    const wanted = '0'.repeat(64);
    const error = await load({ sources: [source(wanted)] }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ChecksumError);
    expect((error as Error).message).toContain(sha256);
    expect((error as Error).message).toContain(wanted);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('goes on to the next source where one has another checksum', async () => {
    answer = hub;
    const moved = { ...source('0'.repeat(64)), url: `${origin}/hub/moved.safetensors` };
    expect((await load({ sources: [moved, source()] })).record).toMatchObject({ url: source().url, verified: true });
    expect(asked.slice(-2)).toEqual(['/hub/moved.safetensors', '/hub/model.safetensors']);
  });

  it('says that a checksum was another one also where further sources have no file', async () => {
    answer = hub;
    const gone = { ...source(), url: `${origin}/gone.safetensors` };
    const error = await load({ sources: [source('0'.repeat(64)), gone] }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ChecksumError);
    expect([asked.at(-1), readdirSync(folder)]).toEqual(['/gone.safetensors', []]);
  });

  it('warns of a MobileNetV3 that does not say its epsilon, and asks for another one before it takes a kept copy', async () => {
    const tensors = formulaWeights(buildGraph('mobilenet_v3_small', 2));
    const old = writeSafetensors(tensors, { format: 'pt' });
    const today = writeSafetensors(tensors, { format: 'pt', batch_norm_eps: '0.00001' });
    const answers =
      (file: Uint8Array): RequestListener =>
      (request, response) =>
        request.url?.startsWith('/studio/') ? void response.end(file) : missing(request, response);
    const mobilenet = async () =>
      loadPretrained('mobilenet_v3_small', {
        fetch,
        cache: weightStore(folder),
        base: `${origin}/studio/`,
        now: 1000,
        sources: [],
      });
    const warned = expect.stringContaining('converted by an earlier fetch-weights') as string;
    answer = answers(old);
    expect((await mobilenet()).record.warnings).toContainEqual(warned);
    answer = missing;
    const kept = await mobilenet();
    expect(kept.fromCache).toBe(true);
    expect(kept.record.warnings.filter((one) => one.includes('earlier fetch-weights'))).toHaveLength(1);
    answer = answers(today);
    const again = await mobilenet();
    expect(again.fromCache).toBe(false);
    expect(again.record.warnings).not.toContainEqual(warned);
    answer = missing;
    expect(await mobilenet()).toMatchObject({ fromCache: true, record: { sha256: again.record.sha256 } });
  });

  it('says nothing of the kind of torchvision’s own file, which its checksum tells', async () => {
    const file = writeSafetensors(formulaWeights(buildGraph('mobilenet_v3_small', 2)), { format: 'pt' });
    answer = (_, response) => void response.end(file);
    const known = { ...source(createHash('sha256').update(file).digest('hex')) };
    const options = { fetch, cache: weightStore(folder), base: null, now: 1, sources: [known] };
    expect((await loadPretrained('mobilenet_v3_small', options)).record.warnings).toEqual([]);
    expect((await loadPretrained('mobilenet_v3_small', options)).fromCache).toBe(true);
  });

  it('replaces a damaged copy only by what it was a copy of', async () => {
    answer = hub;
    const unknown = { sources: [source(null)] };
    await load(unknown);
    const damaged = readdirSync(folder).find((name) => name.endsWith('.safetensors'));
    writeFileSync(join(folder, damaged as string), bytes.subarray(0, 100));
    expect((await load(unknown)).fromCache).toBe(false);
    expect((await load(unknown)).fromCache).toBe(true);
    writeFileSync(join(folder, damaged as string), bytes.subarray(0, 100));
    const other = writeSafetensors(new Map([['b', { shape: [1], data: new Float32Array(1) }]]));
    answer = (request, response) =>
      request.url?.startsWith('/hub/') ? void response.writeHead(200).end(other) : missing(request, response);
    await expect(load(unknown)).rejects.toThrow(ChecksumError);
  });

  it('can be cancelled in the middle', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 5000));
    };
    const controller = new AbortController();
    const loading = load({ signal: controller.signal, onProgress: () => controller.abort() });
    await expect(loading).rejects.toThrow(DownloadCancelledError);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('gives the weights even where they cannot be kept, and says so', async () => {
    answer = hub;
    const full = { ...weightStore(folder), set: () => Promise.reject(new Error('There is no room left')) };
    const { file, record } = await load({ cache: full });
    expect(file.tensors.size).toBe(1);
    expect(record.warnings.join()).toContain('could not be kept for the next time: There is no room left');
  });

  it('has no address for tiny, and says so', async () => {
    await expect(loadPretrained('tiny', { fetch, cache: weightStore(folder), base: null, now: 0 })).rejects.toThrow(
      'no address is known',
    );
  });

  it('names sources over https, with the architecture’s normalisation, checksums whole or the digits in their names', () => {
    for (const [name, list] of Object.entries(weightSources)) {
      const { mean, std } = architectures[name as keyof typeof architectures];
      for (const { url, sha256: sum, revision, ...source } of list) {
        expect(url).toMatch(/^https:\/\//);
        expect(sum === null ? checksumInName(url) : /^[0-9a-f]{64}$/.test(sum)).toBeTruthy();
        expect([source.mean, source.std]).toEqual([mean, std]);
        expect(revision === null).toBe(url.startsWith('https://download.pytorch.org/'));
        if (revision !== null) expect([/^[0-9a-f]{40}$/.test(revision), url.includes(revision)]).toEqual([true, true]);
        expect(source.top1).toBeGreaterThan(60);
        expect(source.license).toMatch(/^(Apache-2.0|BSD-3-Clause)$/);
      }
    }
  });

  it('lets a page ask only hosts that its policy allows, and nobody download another training of the same network', () => {
    for (const name of architectureNames) {
      for (const { url } of downloadable(name, true)) expect(mayFetch(new URL(url), 'http://localhost')).toBe(true);
      expect(downloadable(name, false).map(({ url }) => url)).not.toContain(
        'https://download.pytorch.org/models/resnet50-11ad3fa6.pth',
      );
    }
    expect(downloadable('densenet121', false).length).toBe(2);
  });
});
