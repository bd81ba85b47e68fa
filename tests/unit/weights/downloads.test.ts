import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { weightStore } from '../../../src/platform/node/weightStore.ts';
import type { Part } from '../../../src/weights/types.ts';
import { ChecksumError, DownloadCancelledError, WeightsUnavailableError } from '../../../src/weights/errors.ts';
import { loadPretrained, type PretrainedOptions } from '../../../src/weights/pretrained.ts';
import { writeSafetensors } from '../../../src/weights/safetensors.ts';
import type { Downloadable } from '../../../src/weights/sources.ts';
import type { DownloadProgress } from '../../../src/weights/types.ts';
import { serve, weightServer, type Serving, type WeightServer } from './weightServer.ts';

const N = 300_000;
const fileOf = (value: number): Uint8Array =>
  writeSafetensors(new Map([['a', { shape: [N], data: Float32Array.from({ length: N }, (_, i) => i * value) }]]));
const bytes = fileOf(1);
const sha256 = createHash('sha256').update(bytes).digest('hex');
/** As long, and another one. */
const other = fileOf(2);
const HALF = 500_000;

let server: WeightServer;
let folder: string;
beforeEach(async () => {
  server = await weightServer();
  folder = mkdtempSync(join(tmpdir(), 'downloads-'));
});
afterEach(() => server.close());

const source = (changes: Partial<Downloadable> = {}): Downloadable => ({
  name: 'hub/model',
  url: `${server.origin}/model.safetensors`,
  sha256,
  bytes: null,
  license: 'MIT',
  ...changes,
});
const patience = { tries: 3, firstWait: 20, longestWait: 1000, stall: 30_000 };
/** For servers that fall silent; a machine so busy that it is late only makes one try more. */
const hasty = { ...patience, tries: 5, stall: 400 };
const load = (options: Partial<PretrainedOptions> = {}) =>
  loadPretrained('densenet121', {
    fetch,
    cache: weightStore(folder),
    base: null,
    now: 1000,
    sources: [source()],
    patience,
    ...options,
  });
const failure = async (options: Partial<PretrainedOptions> = {}): Promise<Error> =>
  load(options).then(
    () => Promise.reject(new Error('it did not fail')),
    (error: Error) => error,
  );
const unchecked = (changes: Partial<Downloadable> = {}) => ({ sources: [source({ sha256: null, ...changes })] });

/** One behaviour a request, the last one for all further ones. */
const inTurn =
  (...turns: (RequestListener | (Serving & { file?: Uint8Array }))[]): RequestListener =>
  (request, response) => {
    const turn = turns[Math.min(server.asked.length, turns.length) - 1];
    if (typeof turn === 'function') turn(request, response);
    else serve(request, response, turn?.file ?? bytes, turn);
  };
const ranges = (): (string | undefined)[] => server.asked.map(({ range }) => range);
async function expectWhole(options: Partial<PretrainedOptions> = {}): Promise<DownloadProgress[]> {
  const progress: DownloadProgress[] = [];
  const { file, record } = await load({ ...options, onProgress: (step) => progress.push(step) });
  expect(record.sha256).toBe(sha256);
  expect(file.tensors.get('a')?.data[N - 1]).toBe(N - 1);
  // What is kept is whole.
  const kept = await weightStore(folder).get('pretrained/densenet121');
  expect(createHash('sha256').update(kept!.bytes).digest('hex')).toBe(sha256);
  return progress;
}

describe('a download', () => {
  it('that breaks goes on where it broke, and says so', async () => {
    server.answer = inTurn({ cutAfter: HALF }, {});
    const progress = await expectWhole();
    expect(server.asked).toEqual([
      { path: '/model.safetensors', range: undefined, ifRange: undefined },
      { path: '/model.safetensors', range: `bytes=${HALF}-`, ifRange: '"1"' },
    ]);
    const waiting = progress.filter((step) => step.waiting !== null);
    expect(waiting.map(({ doneBytes, totalBytes, waiting: why }) => [doneBytes, totalBytes, why])).toEqual([
      [HALF, bytes.length, 'The connection broke (it was closed): trying again now'],
    ]);
    expect(progress.at(-1)).toMatchObject({ doneBytes: bytes.length, totalBytes: bytes.length, waiting: null });
  });

  it('that breaks again and again goes on for as long as each connection brings something', async () => {
    const cuts = Array.from({ length: 6 }, () => ({ cutAfter: 150_000 }));
    server.answer = inTurn(...cuts, {});
    await expectWhole();
    expect(ranges()).toEqual([undefined, ...[1, 2, 3, 4, 5, 6].map((n) => `bytes=${n * 150_000}-`)]);
  });

  it('gives up after three connections that brought nothing, keeps nothing on the disk, and goes on with the next start', async () => {
    server.answer = inTurn({ cutAfter: HALF }, { cutAfter: 0 }, { cutAfter: 0 });
    const parts = new Map<string, Part>();
    const error = await failure({ parts });
    expect(error).toBeInstanceOf(WeightsUnavailableError);
    expect(error.message).toContain('the connection failed (it was closed, 3 times)');
    expect((error as WeightsUnavailableError).kept).toContain('another start goes on from there');
    expect(readdirSync(folder)).toEqual([]);
    server.answer = (request, response) => serve(request, response, bytes);
    await expectWhole({ parts });
    expect(ranges().at(-1)).toBe(`bytes=${HALF}-`);
    expect(parts.size).toBe(0);
  });

  it('starts over where the server sends whole files only', async () => {
    server.answer = inTurn({ cutAfter: HALF }, { ranges: 'ignored' });
    await expectWhole();
    expect(ranges()).toEqual([undefined, `bytes=${HALF}-`]);
  });

  it('of a server that says nothing of a version is taken up where a checksum will tell', async () => {
    server.answer = inTurn({ cutAfter: HALF, etag: null }, { etag: null });
    await expectWhole();
    expect(server.asked[1]).toEqual({ path: '/model.safetensors', range: `bytes=${HALF}-`, ifRange: undefined });
  });

  it('of a server that says nothing of a version, and without a checksum, starts over', async () => {
    server.answer = inTurn({ cutAfter: HALF, etag: null }, { etag: null });
    await expectWhole(unchecked());
    expect(ranges()).toEqual([undefined, `bytes=${HALF}-`, undefined]);
  });

  it('goes by the date where there is no ETag, or a weak one', async () => {
    const modified = 'Wed, 21 Oct 2015 07:28:00 GMT';
    server.answer = inTurn({ cutAfter: HALF, etag: 'W/"1"', modified }, { etag: 'W/"1"', modified });
    await expectWhole(unchecked());
    expect(server.asked[1]?.ifRange).toBe(modified);
    expect(server.asked.length).toBe(2);
  });

  it.each([
    ['heeds If-Range', 'heeded', 2],
    ['does not know If-Range', 'blind', 3],
  ] as const)('of a file that changed meanwhile is the new one, on a server that %s', async (_, kind, requests) => {
    // The date alone would not tell.
    const modified = 'Wed, 21 Oct 2015 07:28:00 GMT';
    const changed: Serving & { file?: Uint8Array } = { etag: '"2"', modified, ranges: kind };
    server.answer = inTurn({ file: other, modified, cutAfter: HALF }, changed, changed);
    await expectWhole(unchecked());
    expect(server.asked.length).toBe(requests);
  });

  it('that was put together of two files, unnoticed, is fetched once more in one piece', async () => {
    server.answer = inTurn({ file: other, cutAfter: HALF, etag: null }, { etag: null }, { etag: null });
    await expectWhole();
    expect(ranges()).toEqual([undefined, `bytes=${HALF}-`, undefined]);
  });

  it('with another checksum is refused, once, and nothing is kept', async () => {
    server.answer = inTurn({ file: other });
    const error = await failure();
    expect(error).toBeInstanceOf(ChecksumError);
    expect(server.asked.length).toBe(1);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is checked by the digits in its name', async () => {
    const named = (digits: string) => unchecked({ url: `${server.origin}/densenet121-${digits}.pth` });
    server.answer = inTurn({});
    const { record } = await load(named(sha256.slice(0, 8)));
    expect(record).toMatchObject({ verified: true, warnings: [] });
    await weightStore(folder).delete('pretrained/densenet121');
    const error = await failure(named('a639ec97'));
    expect(error).toBeInstanceOf(ChecksumError);
    expect(error.message).toContain('expected one that begins with a639ec97');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('that ends early without an error is no file', async () => {
    // The length is said in a header that goes for the whole, and the answer ends with its last chunk.
    const short: RequestListener = (_, response) => {
      response.writeHead(200, { etag: '"1"', 'transfer-encoding': 'chunked' });
      response.end(bytes.subarray(0, HALF));
    };
    server.answer = inTurn(short);
    const error = await failure(unchecked());
    expect(error.message).toContain('what came was not a whole weights file');
    expect(await failure()).toBeInstanceOf(ChecksumError);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('goes on to the next source where there is no file', async () => {
    server.answer = (request, response) =>
      request.url === '/gone' ? void response.writeHead(404).end() : serve(request, response, bytes);
    await expectWhole({ sources: [source({ url: `${server.origin}/gone` }), source()] });
    expect(server.asked.map(({ path }) => path)).toEqual(['/gone', '/model.safetensors']);
  });

  it('waits for a server that is busy, as long as it asks for', async () => {
    const busy: RequestListener = (_, response) => void response.writeHead(503, { 'retry-after': '0' }).end();
    server.answer = inTurn(busy, {});
    const progress = await expectWhole();
    expect(progress[0]?.waiting).toBe('The server is busy (HTTP 503): trying again now');
    server.answer = (_, response) => void response.writeHead(429, { 'retry-after': '3600' }).end();
    await weightStore(folder).delete('pretrained/densenet121');
    expect((await failure()).message).toContain('the server is busy (HTTP 429) and asks to wait 3600 s');
  });

  it.each([
    ['asks for an hour', 429, { 'retry-after': '3600' }],
    ['refuses the rest', 403, {}],
    ['has lost the file', 404, {}],
  ])('of a server that %s is taken up there with the next start', async (_, status, headers) => {
    server.answer = inTurn({ cutAfter: HALF }, (_request, response) => void response.writeHead(status, headers).end());
    const parts = new Map<string, Part>();
    const error = await failure({ parts });
    expect((error as WeightsUnavailableError).kept).toContain('another start goes on from there');
    server.answer = (request, response) => serve(request, response, bytes);
    await expectWhole({ parts });
    expect(ranges().at(-1)).toBe(`bytes=${HALF}-`);
    expect(parts.size).toBe(0);
  });

  it('leaves nothing in memory once another source had the file, or the user cancelled', async () => {
    const broken = source({ url: `${server.origin}/broken` });
    server.answer = (request, response) =>
      request.url === '/broken'
        ? serve(request, response, bytes, { cutAfter: request.headers.range === undefined ? HALF : 0 })
        : serve(request, response, bytes);
    const parts = new Map<string, Part>();
    const stop = new AbortController();
    let kept = 0;
    const second = load({
      parts,
      sources: [broken, source()],
      signal: stop.signal,
      onProgress: ({ url }) => {
        if (url === broken.url) return;
        kept = parts.get(broken.url)?.done ?? 0;
        stop.abort();
      },
    });
    await expect(second).rejects.toThrow(DownloadCancelledError);
    expect([kept, parts.size]).toEqual([HALF, 0]);
    await expectWhole({ parts, sources: [broken, source()] });
    expect(parts.size).toBe(0);
  });

  it('begins anew after a 416', async () => {
    const refused: RequestListener = (_, response) => void response.writeHead(416).end();
    server.answer = inTurn({ cutAfter: HALF }, refused, {});
    await expectWhole();
    expect(ranges()).toEqual([undefined, `bytes=${HALF}-`, undefined]);
  });

  it('that is another piece than was asked for begins anew', async () => {
    const wrong: RequestListener = (_, response) => {
      response
        .writeHead(206, { etag: '"1"', 'content-range': `bytes 0-99/${bytes.length}` })
        .end(bytes.subarray(0, 100));
    };
    server.answer = inTurn({ cutAfter: HALF }, wrong, {});
    await expectWhole();
    expect(ranges()).toEqual([undefined, `bytes=${HALF}-`, undefined]);
  });

  it.each([
    ['in its middle', HALF],
    ['before its first byte', 0],
  ])('that falls silent %s is noticed and taken up', async (_, cutAfter) => {
    server.answer = inTurn({ cutAfter, hang: true }, {});
    const progress = await expectWhole({ patience: hasty });
    expect(ranges().slice(0, 2)).toEqual([undefined, cutAfter === 0 ? undefined : `bytes=${cutAfter}-`]);
    expect(progress.find(({ waiting }) => waiting !== null)?.waiting).toContain('nothing came for 0.4 s');
  });

  it('of a server that never answers is given up after two tries', async () => {
    server.answer = () => undefined;
    const error = await failure({ patience: hasty });
    expect(error.message).toContain('the connection failed (nothing came for 0.4 s, 2 times)');
    expect(server.asked.length).toBe(2);
  });

  it('does not wait where nobody listens', async () => {
    await server.close();
    const started = performance.now();
    await failure({ patience: { ...patience, firstWait: 60_000, longestWait: 60_000 } });
    expect(performance.now() - started).toBeLessThan(10_000);
    server = await weightServer();
  });

  it('that is slow comes whole, and tells how long it will take', async () => {
    // 12 pieces, each later than the last one, none as late as counts for silence.
    const slow: RequestListener = (_, response) => {
      response.writeHead(200, { 'content-length': bytes.length });
      const piece = Math.ceil(bytes.length / 12);
      const send = (n: number): void => {
        if (n === 12) return void response.end();
        response.write(bytes.subarray(n * piece, (n + 1) * piece));
        setTimeout(() => send(n + 1), 110);
      };
      send(0);
    };
    server.answer = slow;
    const progress = await expectWhole();
    const told = progress.filter(({ secondsLeft }) => secondsLeft !== null);
    expect(told.length).toBeGreaterThan(0);
    for (const { secondsLeft, doneBytes } of told.slice(0, -1))
      expect(secondsLeft! > 0 || doneBytes === bytes.length).toBe(true);
    expect(told.at(-1)?.secondsLeft).toBe(0);
  });

  it.each(['while bytes come', 'while it waits'] as const)('is cancelled %s', async (when) => {
    server.answer = inTurn({ cutAfter: HALF, hang: when === 'while bytes come' });
    const controller = new AbortController();
    const options = {
      signal: controller.signal,
      patience: { ...patience, firstWait: 60_000, longestWait: 60_000, stall: 60_000 },
      onProgress: ({ waiting }: DownloadProgress) => {
        if (when === 'while bytes come' || waiting !== null) controller.abort();
      },
    };
    expect(await failure(options)).toBeInstanceOf(DownloadCancelledError);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('from another origin, in a page', () => {
  /** A page elsewhere: what CORS hides is gone from what the code sees, as in a browser. */
  const page = (exposed: readonly string[] = []): Partial<PretrainedOptions> => ({
    base: 'http://localhost:1/studio/',
    fetch: async (input, init) => {
      const names = [...new Headers(init?.headers).keys()];
      if (!String(input).startsWith(server.origin)) return new Response(null, { status: 404 });
      // What would need a preflight.
      if (names.some((name) => name !== 'range')) throw new TypeError('Failed to fetch');
      const response = await fetch(input, init);
      const safe = ['content-length', 'content-type', 'last-modified', ...exposed];
      const headers = new Headers([...response.headers].filter(([name]) => safe.includes(name)));
      return new Response(response.body, { status: response.status, headers });
    },
  });

  it('it goes on without If-Range, and by the length alone where Content-Range can’t be read', async () => {
    server.answer = inTurn({ cutAfter: HALF }, {});
    await expectWhole(page());
    expect(server.asked.map(({ range, ifRange }) => [range, ifRange])).toEqual([
      [undefined, undefined],
      [`bytes=${HALF}-`, undefined],
    ]);
  });

  it('another file meanwhile shows by its length', async () => {
    const longer = new Uint8Array(bytes.length + 8);
    server.answer = inTurn({ file: longer, cutAfter: HALF }, {}, {});
    await expectWhole(page());
    expect(ranges()).toEqual([undefined, `bytes=${HALF}-`, undefined]);
  });

  it('without a checksum it starts over, unless the server shows an ETag or a date', async () => {
    server.answer = inTurn({ cutAfter: HALF }, {}, {});
    await expectWhole({ ...page(), ...unchecked() });
    expect(ranges()).toEqual([undefined, `bytes=${HALF}-`, undefined]);
    await weightStore(folder).delete('pretrained/densenet121');
    server.asked.length = 0;
    server.answer = inTurn({ cutAfter: HALF }, {});
    await expectWhole({ ...page(['etag']), ...unchecked() });
    expect(ranges()).toEqual([undefined, `bytes=${HALF}-`]);
  });

  it('the last tries ask for all of it where a range fails, as behind a redirect whose preflight is refused', async () => {
    server.answer = inTurn({ cutAfter: HALF }, {});
    const { fetch: inPage } = page() as { fetch: typeof fetch };
    const refusing: typeof fetch = (input, init) =>
      new Headers(init?.headers).has('range') ? Promise.reject(new TypeError('Failed to fetch')) : inPage(input, init);
    await expectWhole({ ...page(), fetch: refusing });
    expect(ranges()).toEqual([undefined, undefined]);
  });

  it('names a file that can be downloaded by hand', async () => {
    const error = await failure({ ...page(), sources: [] });
    expect((error as WeightsUnavailableError).remedy).toContain(
      'Download https://download.pytorch.org/models/densenet121-a639ec97.pth in a tab of its own and drop it here',
    );
  });
});
