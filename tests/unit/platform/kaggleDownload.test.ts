import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { kaggleCredentials } from '../../../src/platform/node/kaggle/credentials.ts';
import { download, type DownloadOptions } from '../../../src/platform/node/kaggle/download.ts';
import { startKaggleServer, type KaggleServer } from '../support/kaggleServer.ts';
import { filesOf, pacemakers, zipOf } from '../support/pacemakersZip.ts';

const bytes = await zipOf(filesOf(pacemakers, 20_000));
const longer = await zipOf(filesOf(pacemakers, 21_000));
/** Of the same size and beginning. */
const other = bytes.map((byte, i) => (i < 100 ? byte : byte ^ 1));
const half = Math.floor(bytes.length / 2);
const dataset = 'jamesphoward/pacemakers';
const user = { username: 'somebody', key: '0123456789abcdef' };

let server: KaggleServer;
let folder: string;
let zip: string;
let notices: string[];
let progress: number[];

beforeEach(async () => {
  server = await startKaggleServer({ zip: bytes, dataset, ...user });
  folder = await mkdtemp(join(tmpdir(), 'kaggle-'));
  zip = join(folder, 'pacemakers.zip');
  notices = [];
  progress = [];
  server.behaviour.taken = () => progress.at(-1) ?? 0;
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function get(options: Partial<DownloadOptions> & { key?: string } = {}): Promise<void> {
  const { key = user.key, ...rest } = options;
  await download({
    dataset,
    credentials: await kaggleCredentials({ HOME: folder, KAGGLE_USERNAME: user.username, KAGGLE_KEY: key }),
    zip,
    tries: 3,
    firstWait: 0.01,
    longestWait: 0.2,
    stall: 5,
    signal: new AbortController().signal,
    env: { KAGGLE_API_ENDPOINT: server.endpoint },
    onProgress: (at) => progress.push(at),
    onNotice: (text) => notices.push(text),
    ...rest,
  });
}
const failure = async (options: Parameters<typeof get>[0] = {}): Promise<Record<string, string>> => {
  const error: unknown = await get(options).then(
    () => null,
    (reason: unknown) => reason,
  );
  const { name, message, kept, remedy } = error as Record<string, string>;
  return { name: name ?? '', message: message ?? '', kept: kept ?? '', remedy: remedy ?? '' };
};
/** Compared as a whole: byte by byte takes a second. */
const holds = async (content: Uint8Array, path = zip) => (await readFile(path)).equals(content);
const ranges = () => server.asked.filter(({ host }) => host === 'storage').map(({ headers }) => headers.range ?? null);

describe('a download from Kaggle', () => {
  it('brings the zip whole; the credentials go to the API and to nobody else', async () => {
    await get();
    expect(await holds(bytes)).toBe(true);
    expect((await readdir(folder)).sort()).toEqual(['pacemakers.zip', 'pacemakers.zip.json']);
    const basic = `Basic ${Buffer.from('somebody:0123456789abcdef').toString('base64')}`;
    expect(server.asked.map(({ host, headers }) => [host, headers.authorization])).toEqual([
      ['api', basic],
      ['storage', undefined],
    ]);
    expect(server.asked[0]?.url).toBe('/api/v1/datasets/download/jamesphoward/pacemakers');
    expect(progress.at(-1)).toBe(bytes.length);
  });

  it('goes on where a connection broke, with a fresh address, and says so', async () => {
    server.behaviour.drop = { at: half, times: 1 };
    await get();
    expect(await holds(bytes)).toBe(true);
    expect(ranges()).toEqual([null, `bytes=${half}-`]);
    expect(server.asked.at(-1)?.headers['if-range']).toBe(server.behaviour.etag);
    expect(server.asked.filter(({ host }) => host === 'api')).toHaveLength(2);
    expect(notices.join()).toMatch(/connection broke at .* of .*Trying again in/);
  });

  it('breaks that each bring some bytes do not use up the tries', async () => {
    server.behaviour.drop = { at: 0, times: 0 };
    let at = 0;
    server.behaviour.storage = () => {
      at += 20_000;
      server.behaviour.drop = { at, times: 1 };
      return null;
    };
    await get({ tries: 2 });
    expect(await holds(bytes)).toBe(true);
    expect(ranges().length).toBeGreaterThan(8);
  });

  it('gives up after some tries without a byte, and a later run goes on from the part', async () => {
    server.behaviour.drop = { at: half, times: Infinity };
    const { name, kept, remedy } = await failure();
    expect(name).toBe('KaggleUnreachableError');
    expect(kept).toContain('pacemakers.zip.part');
    expect(remedy).toContain('goes on where it stopped');
    expect(await holds(bytes.subarray(0, half), `${zip}.part`)).toBe(true);
    server.behaviour.drop = null;
    server.asked.length = 0;
    await get();
    expect(ranges()).toEqual([`bytes=${half}-`]);
    expect(await holds(bytes)).toBe(true);
    expect(notices.join()).toContain('Going on from');
  });

  it('a silent connection counts as broken', async () => {
    server.behaviour.silence = { at: half, times: 1 };
    await get({ stall: 0.3 });
    expect(await holds(bytes)).toBe(true);
    expect(notices.join()).toContain('not a byte for 0.3 s');
  });

  it.each([
    ['the server honours If-Range', longer, false],
    ['the server does not know If-Range', longer, true],
    ['the server does not know If-Range, and the size is the same', other, true],
  ])('starts over when the file has changed since: %s', async (_, changed, ignoresIfRange) => {
    server.behaviour.drop = { at: half, times: Infinity };
    await failure();
    Object.assign(server.behaviour, { drop: null, zip: changed, etag: '"other"', ignoresIfRange });
    await get();
    expect(await holds(changed)).toBe(true);
    expect(notices.at(-1)).toContain('Starting from the beginning');
  });

  it('does not go on from the part of another owner’s data set of the same name', async () => {
    server.behaviour.drop = { at: half, times: Infinity };
    await failure();
    server.asked.length = 0;
    expect((await failure({ dataset: 'somebody/pacemakers' })).name).toBe('KaggleDatasetNotFoundError');
    expect(server.asked[0]?.headers.range).toBe(undefined);
  });

  it('starts over where the server sends whole files only, and does not try for ever', async () => {
    Object.assign(server.behaviour, { drop: { at: half, times: 1 }, ignoresRanges: true });
    await get();
    expect(await holds(bytes)).toBe(true);
    expect(notices.at(-1)).toContain('whole files only');
    await rm(zip);
    server.behaviour.drop = { at: half, times: Infinity };
    expect((await failure()).name).toBe('KaggleUnreachableError');
  });

  it('resumes by the date where there is no ETag, and not at all where there is neither', async () => {
    Object.assign(server.behaviour, { etag: null, drop: { at: half, times: 1 } });
    await get();
    expect(server.asked.at(-1)?.headers['if-range']).toBe('Wed, 04 Mar 2020 17:29:51 GMT');
    await rm(zip);
    server.asked.length = 0;
    Object.assign(server.behaviour, { lastModified: null, drop: { at: half, times: 1 } });
    await get();
    expect(ranges()).toEqual([null, null]);
    expect(await holds(bytes)).toBe(true);
  });

  it('never appends to a part whose origin it does not know', async () => {
    await writeFile(`${zip}.part`, 'PK of another program');
    await get();
    expect(await holds(bytes)).toBe(true);
  });

  it('a part that is whole already is not asked for again', async () => {
    server.behaviour.drop = { at: half, times: Infinity };
    await failure();
    await writeFile(`${zip}.part`, bytes);
    server.asked.length = 0;
    await get();
    expect(server.asked).toEqual([]);
    expect(await holds(bytes)).toBe(true);
  });

  it('takes a file without a stated length', async () => {
    server.behaviour.saysNoLength = true;
    await get();
    expect(await holds(bytes)).toBe(true);
  });

  it('a file that ends before its stated length is no zip, however often it is asked for', async () => {
    server.behaviour.missing = 1000;
    expect((await failure()).name).toBe('KaggleUnreachableError');
    expect(existsSync(zip)).toBe(false);
    expect((await stat(`${zip}.part`)).size).toBe(bytes.length - 1000);
  });

  it('a wrong checksum is found, and the file taken away', async () => {
    server.behaviour.md5 = 'wrong';
    expect((await failure()).name).toBe('DownloadDamagedError');
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('what Kaggle may answer', () => {
  const always = (status: number, body = '', headers: Record<string, string> = {}) => {
    server.behaviour.api = () => ({ status, body, headers });
  };

  it('401: the credentials’ place is named, the key is not', async () => {
    const wrong = await failure({ key: 'not-the-key-7777' });
    expect(wrong.name).toBe('KaggleCredentialsRejectedError');
    expect(wrong.message).toContain('KAGGLE_USERNAME and KAGGLE_KEY');
    expect(wrong.remedy).toContain('https://www.kaggle.com/settings/api');
    expect(JSON.stringify(wrong)).not.toContain('7777');
  });

  it('403 with rules: the page to open', async () => {
    always(403, JSON.stringify({ code: 403, message: `You must accept the rules first, ${user.key}` }));
    const rules = await failure();
    expect(rules.name).toBe('KaggleRulesNotAcceptedError');
    expect(rules.message).toContain('You must accept the rules first, …');
    expect(rules.remedy).toContain('https://www.kaggle.com/datasets/jamesphoward/pacemakers');
  });

  it('403 without', async () => {
    always(403, JSON.stringify({ code: 403, message: "Permission 'datasets.get' was denied" }));
    expect(await failure()).toMatchObject({
      name: 'KaggleForbiddenError',
      message: expect.stringMatching(/datasets\.get/),
    });
  });

  it('404', async () => {
    const { name, message, remedy } = await failure({ dataset: 'jamesphoward/pacemaker' });
    expect(name).toBe('KaggleDatasetNotFoundError');
    expect(message).toContain('jamesphoward/pacemaker.');
    expect(remedy).toContain('data.kaggle_dataset');
  });

  it('429: waits as long as it is asked to, and says so', async () => {
    server.behaviour.api = (_, nth) => (nth === 1 ? { status: 429, headers: { 'retry-after': '0.15' } } : null);
    const started = performance.now();
    await get();
    expect(performance.now() - started).toBeGreaterThan(140);
    expect(notices.join()).toContain('too many requests');
    expect(await holds(bytes)).toBe(true);
  });

  it('429: gives up where that is too long, or without end', async () => {
    always(429, '', { 'retry-after': '3600' });
    expect(await failure()).toMatchObject({ name: 'KaggleRateLimitError', message: expect.stringMatching(/3600 s/) });
    expect(server.asked).toHaveLength(1);
    always(429, '', { 'retry-after': new Date(Date.now() + 3_600_000).toUTCString() });
    expect(await failure()).toMatchObject({
      name: 'KaggleRateLimitError',
      message: expect.stringMatching(/3[56]\d\d s/),
    });
    always(429);
    expect(await failure()).toMatchObject({
      name: 'KaggleRateLimitError',
      message: expect.stringMatching(/again and again/),
    });
  });

  it('500: tried again', async () => {
    server.behaviour.api = (_, nth) => (nth <= 2 ? { status: 503 } : null);
    await get();
    expect(await holds(bytes)).toBe(true);
  });

  it('the storage’s 403 says nothing about rules, and its signed address is not printed', async () => {
    server.behaviour.storage = () => ({ status: 403, body: '<Error><Code>SignatureDoesNotMatch</Code></Error>' });
    const { name, message } = await failure();
    expect(name).toBe('KaggleAnswerError');
    expect(message).toContain('answered 403');
    expect(message).not.toContain('X-Goog');
  });

  it('a web page in place of the zip costs nothing of what is there', async () => {
    server.behaviour.drop = { at: half, times: Infinity };
    await failure();
    server.behaviour.drop = null;
    server.behaviour.storage = () => ({ status: 200, headers: { 'content-type': 'text/html' }, body: '<html>Sign in' });
    expect(await failure()).toMatchObject({
      name: 'DownloadNotAZipError',
      message: expect.stringMatching(/web page/),
      kept: expect.stringMatching(/\.part/),
    });
    expect((await stat(`${zip}.part`)).size).toBe(half);
    server.behaviour.storage = () => ({ status: 200, headers: { 'content-type': 'application/zip' }, body: 'Rar!' });
    expect(await failure()).toMatchObject({ name: 'DownloadNotAZipError' });
  });

  it('a redirect to the sign-in page means that the credentials are not taken', async () => {
    always(302, '', { location: '/account/login?returnUrl=x' });
    expect((await failure()).name).toBe('KaggleCredentialsRejectedError');
  });

  it('redirects in a circle end', async () => {
    always(302, '', { location: '/api/v1/datasets/download/jamesphoward/pacemakers' });
    expect(await failure()).toMatchObject({
      name: 'KaggleAnswerError',
      message: expect.stringMatching(/sent the download on/),
    });
  });

  it('nobody there', async () => {
    await server.close();
    expect(await failure()).toMatchObject({
      name: 'KaggleUnreachableError',
      message: expect.stringMatching(/refuses connections/),
    });
    const nowhere = { KAGGLE_API_ENDPOINT: 'https://kaggle.invalid' };
    expect(await failure({ env: nowhere, tries: 1 })).toMatchObject({
      name: 'KaggleUnreachableError',
      message: expect.stringMatching(/kaggle\.invalid.*looked up/),
    });
  });
});

it.each(['kaggle', 'http://www.kaggle.com', 'ftp://127.0.0.1'])('no key goes to %s', async (endpoint) => {
  const error = await failure({ env: { KAGGLE_API_ENDPOINT: endpoint } });
  expect(error).toMatchObject({ name: 'KaggleEndpointError', message: expect.stringContaining(endpoint) });
});

// Only Linux has a device that is always full.
it.runIf(existsSync('/dev/full'))('a full disk: how much room is needed', async () => {
  await symlink('/dev/full', `${zip}.part`);
  const { name, message, remedy } = await failure();
  expect(name).toBe('NoRoomForDownloadError');
  expect(message).toMatch(/disk is full: .*pacemakers\.zip\.part needs 2\d\d kB more, .* free/);
  expect(remedy).toContain('data.raw_dir');
});

it('stopped while it waits, and while it runs: the part is kept', async () => {
  server.behaviour.drop = { at: half, times: Infinity };
  const stop = new AbortController();
  const wait = failure({ signal: stop.signal, firstWait: 60, longestWait: 60, onNotice: () => stop.abort() });
  expect(await wait).toMatchObject({ name: 'DownloadStoppedError', kept: expect.stringMatching(/\.part/) });
  server.behaviour.drop = null;
  server.behaviour.bytesPerSecond = 300_000;
  const second = new AbortController();
  const ran = failure({ signal: second.signal, onProgress: (at) => at > half + 20_000 && second.abort() });
  expect(await ran).toMatchObject({ name: 'DownloadStoppedError' });
  const { size } = await stat(`${zip}.part`);
  expect(size).toBeGreaterThan(half);
  expect(await holds(bytes.subarray(0, size), `${zip}.part`)).toBe(true);
});
