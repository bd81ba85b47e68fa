import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { reportOf, type ErrorReport } from '../../../src/errors.ts';
import { locate } from '../../../src/hosts.ts';
import { downloadCommands } from '../../../src/workers/downloadCommands.ts';
import type { DatasetEvent } from '../../../src/workers/protocol.ts';
import { jpegs, zipOf } from '../dataset/archives.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A real server with the page in the folder `studio/`, and what the dataset worker has of it. */
async function host(
  answers: Readonly<Record<string, Answer>>,
  { room = null, ...limits }: { room?: number | null; largest?: number } = {},
) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '');
    asked.push(`${request.method} ${path}`);
    const answer = answers[path];
    if (answer) answer(request, response);
    else response.writeHead(404, { 'content-type': 'text/plain' }).end('no such file');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const events: Extract<DatasetEvent, { type: 'downloadProgress' }>[] = [];
  const commands = downloadCommands(
    { fetch, page: `${origin}/studio/`, room: () => Promise.resolve(room), now: () => performance.now(), ...limits },
    (event) => event.type === 'downloadProgress' && events.push(event),
  );
  return { origin, asked, events, ...commands };
}

const file =
  (bytes: Uint8Array, headers: Readonly<Record<string, string | number>> = {}): Answer =>
  ({ method }, response) => {
    response.writeHead(200, { 'content-type': 'application/zip', 'content-length': bytes.length, ...headers });
    response.end(method === 'HEAD' ? undefined : bytes);
  };
/** Says that it has this much, and sends the first bytes of a zip only. */
const claims =
  (bytes: number, then: (response: ServerResponse) => void = () => undefined): Answer =>
  ({ method }, response) => {
    response.writeHead(200, { 'content-type': 'application/zip', 'content-length': bytes });
    if (method === 'HEAD') return void response.end();
    response.write(new Uint8Array([0x50, 0x4b, 3, 4]), () => then(response));
  };

async function failure(work: unknown): Promise<ErrorReport> {
  try {
    await work;
  } catch (error) {
    return reportOf(error);
  }
  throw new Error('Nothing was thrown.');
}

const zip = async (): Promise<Uint8Array> => {
  const blob = await zipOf({ ...(await jpegs('Train/A', 2, 0)), ...(await jpegs('Train/B', 2, 5)) });
  return new Uint8Array(await blob.arrayBuffer());
};

describe('a zip that a link names', () => {
  it('is looked at beside the page, and comes whole when it is wanted', async () => {
    const bytes = await zip();
    const { origin, asked, events, lookAtLink, download } = await host({ '/studio/sets/my set.zip': file(bytes) });
    const found = await lookAtLink({ address: 'sets/my set.zip#part' });
    expect(found).toEqual({
      url: `${origin}/studio/sets/my%20set.zip`,
      name: 'my set.zip',
      host: null,
      bytes: bytes.length,
    });
    expect(asked).toEqual(['HEAD /studio/sets/my set.zip']);
    const got = await download(found);
    expect(got.type).toBe('application/zip');
    expect(new Uint8Array(await got.arrayBuffer())).toEqual(bytes);
    expect(events.at(-1)).toMatchObject({ url: found.url, done: bytes.length, total: bytes.length });
  });

  it('is looked at by the headers of a GET where HEAD is refused', async () => {
    let closed: () => void = () => undefined;
    const aborted = new Promise<void>((resolve) => (closed = resolve));
    const answer: Answer = (request, response) => {
      if (request.method === 'HEAD') return void response.writeHead(405).end();
      response.on('close', closed);
      claims(5_000_000)(request, response);
    };
    const { asked, lookAtLink } = await host({ '/studio/x.zip': answer });
    expect(await lookAtLink({ address: 'x.zip' })).toMatchObject({ bytes: 5_000_000 });
    expect(asked).toEqual(['HEAD /studio/x.zip', 'GET /studio/x.zip']);
    await aborted;
  });

  it('may come from a server that doesn’t say its size', async () => {
    const bytes = await zip();
    const chunked: Answer = ({ method }, response) => {
      response.writeHead(200, { 'content-type': 'application/zip' });
      if (method === 'HEAD') return void response.end();
      response.write(bytes.subarray(0, 100));
      response.end(bytes.subarray(100));
    };
    const { events, lookAtLink, download } = await host({ '/studio/x.zip': chunked });
    const found = await lookAtLink({ address: 'x.zip' });
    expect(found.bytes).toBeNull();
    expect((await download(found)).size).toBe(bytes.length);
    expect(events[0]).toMatchObject({ total: null, secondsLeft: null });
  });

  it('is one file, whatever name and password its address has', async () => {
    const { origin, lookAtLink } = await host({ '/studio/x.zip': file(await zip()) });
    const named = origin.replace('://', '://me:secret@');
    expect(await lookAtLink({ address: `${named}/studio/x.zip` })).toMatchObject({ url: `${origin}/studio/x.zip` });
    expect(locate(`${named}/studio/x.zip#part`, 'https://example.org/')?.href).toBe(`${origin}/studio/x.zip`);
  });

  it('can still be cancelled when an older download of it has ended', async () => {
    const waiting: (() => void)[] = [];
    const { origin, download, cancelDownload } = await host({
      '/studio/x.zip': claims(1_000_000, (response) => waiting.push(() => response.destroy())),
    });
    const wanted = { url: `${origin}/studio/x.zip`, bytes: null };
    const older = failure(download(wanted));
    await expect.poll(() => waiting.length).toBe(1);
    const newer = failure(download(wanted));
    await expect.poll(() => waiting.length).toBe(2);
    waiting[0]!();
    expect((await older).name).toBe('DownloadBrokenError');
    await cancelDownload(wanted);
    expect((await newer).name).toBe('DownloadCancelledError');
  });

  it('is followed through a redirect on the same host', async () => {
    const bytes = await zip();
    const { lookAtLink } = await host({
      '/studio/latest.zip': (_, response) => void response.writeHead(302, { location: '/studio/v2.zip' }).end(),
      '/studio/v2.zip': file(bytes),
    });
    expect(await lookAtLink({ address: 'latest.zip' })).toMatchObject({ name: 'latest.zip', bytes: bytes.length });
  });

  it('tells how far it is and how long it takes, and can be cancelled', async () => {
    let closed: () => void = () => undefined;
    const stopped = new Promise<void>((resolve) => (closed = resolve));
    let asking: () => void = () => undefined;
    const began = new Promise<void>((resolve) => (asking = resolve));
    const { origin, events, download, cancelDownload } = await host({
      '/studio/x.zip': claims(1_000_000, (response) => {
        response.on('close', closed);
        asking();
      }),
    });
    const url = `${origin}/studio/x.zip`;
    const coming = failure(download({ url, bytes: null }));
    await began;
    await expect.poll(() => events.length).toBeGreaterThan(0);
    expect(events[0]).toMatchObject({ done: 4, total: 1_000_000 });
    await cancelDownload({ url });
    expect(await coming).toMatchObject({ name: 'DownloadCancelledError', message: expect.stringMatching(/x\.zip/) });
    await stopped;
  });
});

describe('a link that leads nowhere', () => {
  it('to a missing file', async () => {
    const { lookAtLink } = await host({});
    expect(await failure(lookAtLink({ address: 'sets/none.zip' }))).toMatchObject({
      name: 'LinkMissingError',
      message: expect.stringMatching(/studio\/sets\/none\.zip: the server answers “HTTP 404”/),
    });
  });

  it('to a page in place of a file, as hosts of single-page apps answer', async () => {
    const page = file(new TextEncoder().encode('<!doctype html>'), { 'content-type': 'text/html; charset=utf-8' });
    const { lookAtLink, download, origin } = await host({ '/studio/x.zip': page });
    expect((await failure(lookAtLink({ address: 'x.zip' }))).name).toBe('LinkMissingError');
    expect((await failure(download({ url: `${origin}/studio/x.zip`, bytes: null }))).name).toBe('LinkMissingError');
  });

  it('to something that is no zip, told by its first bytes', async () => {
    const { download, origin } = await host({
      '/studio/x.zip': file(new TextEncoder().encode('Rar! this is not a zip')),
      '/studio/empty.zip': file(new Uint8Array()),
    });
    for (const name of ['x.zip', 'empty.zip'])
      expect(await failure(download({ url: `${origin}/studio/${name}`, bytes: null }))).toMatchObject({
        name: 'NotAZipError',
        message: expect.stringContaining(name),
      });
  });

  it('to a server that is down, or has a bad day', async () => {
    const { lookAtLink } = await host({ '/studio/x.zip': (_, response) => void response.writeHead(503).end() });
    expect(await failure(lookAtLink({ address: 'x.zip' }))).toMatchObject({
      name: 'LinkUnreachableError',
      message: expect.stringMatching(/HTTP 503/),
    });
    const down = await host({ '/studio/x.zip': (request) => request.socket.destroy() });
    expect((await failure(down.lookAtLink({ address: 'x.zip' }))).name).toBe('LinkUnreachableError');
  });

  it('to no address at all', async () => {
    const { lookAtLink } = await host({});
    expect(await failure(lookAtLink({ address: 'https://' }))).toMatchObject({ name: 'LinkMissingError' });
  });

  it('to hosts that this page may not reach: named, and nothing is asked of them', async () => {
    const foreign = await host({ '/x.zip': file(await zip()) });
    const { asked, origin, lookAtLink, download } = await host({
      '/studio/away.zip': (_, response) => void response.writeHead(302, { location: `${foreign.origin}/x.zip` }).end(),
    });
    const refused = [
      `${foreign.origin}/x.zip`,
      `//127.0.0.1:1/x.zip`,
      'https://example.org/x.zip',
      'http://huggingface.co/x.zip',
      'https://huggingface.co.example.org/x.zip',
      'https://huggingface.co@example.org/x.zip',
      'data:application/zip;base64,UEsDBA==',
      'blob:https://huggingface.co/1',
      'javascript:alert(1)',
      'file:///etc/passwd',
    ];
    for (const address of refused) {
      expect(await failure(lookAtLink({ address })), address).toMatchObject({ name: 'HostNotAllowedError' });
      expect((await failure(download({ url: address, bytes: null }))).name, address).toBe('HostNotAllowedError');
    }
    expect(foreign.asked).toEqual([]);
    expect(asked).toEqual([]);
    expect(await failure(lookAtLink({ address: 'https://example.org/x.zip' }))).toMatchObject({
      message:
        'The link leads to example.org, and this page may fetch files from its own host and huggingface.co only.',
      remedy: expect.stringMatching(/download it yourself and drop it on this page/),
    });
    // In a browser the policy stops a redirect that leads away before it is followed; without one it is seen where it ended.
    expect((await failure(lookAtLink({ address: `${origin}/studio/away.zip` }))).name).toBe('HostNotAllowedError');
  });
});

describe('a file that is too much', () => {
  it('says so before anything is downloaded', async () => {
    const { asked, lookAtLink } = await host({ '/studio/big.zip': claims(2_000_000_000) });
    expect(await failure(lookAtLink({ address: 'big.zip' }))).toMatchObject({
      name: 'LinkTooLargeError',
      message: expect.stringMatching(/^big\.zip has 2\.0 GB; through a link at most 1\.1 GB/),
      remedy: expect.stringMatching(/drop the zip on this page/),
    });
    expect(asked).toEqual(['HEAD /studio/big.zip']);
  });

  it('is refused while it comes where its server had not said it', async () => {
    const endless: Answer = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/zip' });
      const more = (): void => {
        if (!response.destroyed) response.write(Buffer.alloc(1000, 'PK'), () => setImmediate(more));
      };
      more();
    };
    const { origin, download } = await host({ '/studio/big.zip': endless }, { largest: 100_000 });
    expect(await failure(download({ url: `${origin}/studio/big.zip`, bytes: null }))).toMatchObject({
      name: 'LinkTooLargeError',
      message: expect.stringMatching(/^big\.zip has more than 100 kB/),
    });
    const said = await host({ '/studio/big.zip': claims(2_000_000_000) });
    const url = `${said.origin}/studio/big.zip`;
    expect((await failure(said.download({ url, bytes: null }))).name).toBe('LinkTooLargeError');
  });

  it('for the room that the browser has left here', async () => {
    const { lookAtLink } = await host({ '/studio/x.zip': claims(500_000_000) }, { room: 1_000_000_000 });
    expect(await failure(lookAtLink({ address: 'x.zip' }))).toMatchObject({
      name: 'NoRoomForLinkError',
      message: 'x.zip takes about 1.1 GB once it is opened, and the browser has 1.0 GB left here.',
    });
    const enough = await host({ '/studio/x.zip': claims(500_000_000) }, { room: 1_100_000_001 });
    expect(await enough.lookAtLink({ address: 'x.zip' })).toMatchObject({ bytes: 500_000_000 });
  });
});

it('a download that breaks off says how far it had come', async () => {
  const { origin, download } = await host({ '/studio/x.zip': claims(3_000_000, (response) => response.destroy()) });
  expect(await failure(download({ url: `${origin}/studio/x.zip`, bytes: null }))).toMatchObject({
    name: 'DownloadBrokenError',
    message: 'The download of x.zip broke off after 1 kB of 3 MB.',
  });
});
