import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** What a server was asked, in order. */
export interface Asked {
  readonly host: 'api' | 'storage';
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
}

/** How the servers behave; may be changed between and during requests. */
export interface KaggleBehaviour {
  zip: Uint8Array;
  etag: string | null;
  lastModified: string | null;
  /** `x-goog-hash`, as Google's storage sends it; `right` is the zip's. */
  md5: 'right' | 'wrong' | 'none';
  /** Of the storage; null: as fast as it goes. */
  bytesPerSecond: number | null;
  /** The storage breaks the connection at this byte of the file, that many times. */
  drop: { at: number; times: number } | null;
  /** Bytes of the file that the client has put away: a break waits for them, as what is under way is lost with the connection. */
  taken: (() => number) | null;
  /** The storage falls silent at this byte of the file, that many times. */
  silence: { at: number; times: number } | null;
  /** 200 with the whole file to whatever range. */
  ignoresRanges: boolean;
  /** 206 even where `If-Range` no longer fits. */
  ignoresIfRange: boolean;
  /** No Content-Length: chunks. */
  saysNoLength: boolean;
  /** Bytes that are missing at the file's end although the length counts them. */
  missing: number;
  /** In place of the API's answer; null: the usual one. */
  api:
    | ((asked: Asked, count: number) => { status: number; headers?: Record<string, string>; body?: string } | null)
    | null;
  storage: KaggleBehaviour['api'];
}

export interface KaggleServer {
  /** For KAGGLE_API_ENDPOINT. */
  readonly endpoint: string;
  readonly behaviour: KaggleBehaviour;
  readonly asked: Asked[];
  /** Resolves as soon as that many bytes of files have gone out, all answers together. */
  sent(bytes: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Kaggle as its public clients see it, on two ports: an API that wants Basic or Bearer and answers with a redirect to a signed address, and a
 * storage that knows no users (an `Authorization` header is refused, each signature is good for one request), serves ranges with
 * `If-Range`, and sends ETag, Last-Modified and `x-goog-hash` as Google's does. Sources: kagglesdk `kaggle_http_client.py`, kagglehub
 * `clients.py` and its server stubs.
 */
export async function startKaggleServer(
  settings: Partial<KaggleBehaviour> & {
    zip: Uint8Array;
    dataset: string;
    username: string;
    key: string;
    token?: string;
  },
): Promise<KaggleServer> {
  const { dataset, username, key, token, ...given } = settings;
  const behaviour: KaggleBehaviour = {
    etag: `"${createHash('md5').update(settings.zip).digest('hex')}"`,
    lastModified: 'Wed, 04 Mar 2020 17:29:51 GMT',
    md5: 'right',
    bytesPerSecond: null,
    drop: null,
    taken: null,
    silence: null,
    ignoresRanges: false,
    ignoresIfRange: false,
    saysNoLength: false,
    missing: 0,
    api: null,
    storage: null,
    ...given,
  };
  const asked: Asked[] = [];
  const signatures = new Set<string>();
  const users = [
    `Basic ${Buffer.from(`${username}:${key}`).toString('base64')}`,
    ...(token ? [`Bearer ${token}`] : []),
  ];
  let bytesSent = 0;
  const waiting: { bytes: number; resolve(): void }[] = [];
  const count = (bytes: number): void => {
    bytesSent += bytes;
    for (const one of waiting) if (bytesSent >= one.bytes) one.resolve();
  };

  const note = (host: Asked['host'], request: IncomingMessage): { one: Asked; nth: number } => {
    const one: Asked = { host, url: request.url ?? '', headers: request.headers };
    asked.push(one);
    return { one, nth: asked.filter((other) => other.host === host).length };
  };
  const special = (make: KaggleBehaviour['api'], one: Asked, nth: number, response: ServerResponse): boolean => {
    const answer = make?.(one, nth);
    if (answer == null) return false;
    response.writeHead(answer.status, answer.headers).end(answer.body);
    return true;
  };
  const refuse = (response: ServerResponse, code: number, message: string): void => {
    response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify({ code, message }));
  };

  const api = await listen((request, response) => {
    const { one, nth } = note('api', request);
    if (special(behaviour.api, one, nth, response)) return;
    if (!users.includes(request.headers.authorization ?? '')) return refuse(response, 401, 'Unauthorized access');
    if (one.url !== `/api/v1/datasets/download/${dataset}`) return refuse(response, 404, 'Not found');
    const signature = randomBytes(16).toString('hex');
    signatures.add(signature);
    const query = `X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Expires=259200&X-Goog-Signature=${signature}`;
    response.writeHead(302, { location: `${storage.origin}/kaggle-data-sets/1/bundle/archive.zip?${query}` }).end();
  });
  const storage = await listen((request, response) => {
    const { one, nth } = note('storage', request);
    if (special(behaviour.storage, one, nth, response)) return;
    const signature = new URL(one.url, 'http://storage').searchParams.get('X-Goog-Signature') ?? '';
    if (one.headers.authorization !== undefined || !signatures.delete(signature)) {
      response.writeHead(400, { 'content-type': 'application/xml' }).end('<Error><Code>InvalidArgument</Code></Error>');
      return;
    }
    void serve(request, response, behaviour, count);
  });
  return {
    endpoint: api.origin,
    behaviour,
    asked,
    sent: (bytes) => {
      if (bytesSent >= bytes) return Promise.resolve();
      return new Promise((resolve) => waiting.push({ bytes, resolve }));
    },
    close: async () => {
      await Promise.all([api, storage].map(({ server }) => stop(server)));
    },
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  behaviour: KaggleBehaviour,
  count: (bytes: number) => void,
): Promise<void> {
  const { zip, etag, lastModified, md5, saysNoLength, missing } = behaviour;
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
  const condition = request.headers['if-range'];
  const fits = condition === undefined || condition === etag || condition === lastModified || behaviour.ignoresIfRange;
  const partial = range !== null && fits && !behaviour.ignoresRanges;
  const from = partial ? Number(range[1]) : 0;
  const headers: Record<string, string> = { 'content-type': 'application/zip', 'accept-ranges': 'bytes' };
  if (etag !== null) headers.etag = etag;
  if (lastModified !== null) headers['last-modified'] = lastModified;
  if (md5 !== 'none') {
    const digest = createHash('md5').update(md5 === 'right' ? zip : 'something else');
    headers['x-goog-hash'] = `crc32c=n03x6A==,md5=${digest.digest('base64')}`;
  }
  if (partial && from >= zip.length) {
    response.writeHead(416, { ...headers, 'content-range': `bytes */${zip.length}` }).end();
    return;
  }
  if (!saysNoLength) headers['content-length'] = String(zip.length - from);
  if (partial) headers['content-range'] = `bytes ${from}-${zip.length - 1}/${zip.length}`;
  response.writeHead(partial ? 206 : 200, headers);

  const { bytesPerSecond } = behaviour;
  const slice = bytesPerSecond === null ? 65_536 : Math.max(1, Math.round(bytesPerSecond / 50));
  let at = from;
  while (at < zip.length - missing && !response.destroyed) {
    const { drop, silence } = behaviour;
    const cut = [drop, silence].find((one) => one !== null && one.times > 0 && at >= one.at);
    if (cut != null) {
      cut.times--;
      if (cut !== silence) await breakOff(request, behaviour, at);
      return;
    }
    const next = Math.min(
      at + slice,
      zip.length - missing,
      ...[drop, silence].flatMap((one) => (one !== null && one.times > 0 ? [one.at] : [])).filter((end) => end > at),
    );
    const piece = zip.subarray(at, next);
    await new Promise<void>((resolve) => response.write(piece, () => resolve()));
    count(piece.length);
    at = next;
    if (bytesPerSecond !== null) await pause((piece.length / bytesPerSecond) * 1000);
  }
  if (missing === 0) response.end();
  else await breakOff(request, behaviour, at);
}

async function breakOff(request: IncomingMessage, { taken }: KaggleBehaviour, at: number): Promise<void> {
  await pause(20);
  for (let waited = 0; waited < 5000 && taken !== null && taken() < at; waited += 5) await pause(5);
  request.socket.destroy();
}

async function listen(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
