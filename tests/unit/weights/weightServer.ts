import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A real server over one file; `answer` says how it behaves, request by request. */
export interface WeightServer {
  readonly origin: string;
  /** In order: path, `Range` and `If-Range` of each request. */
  readonly asked: { path: string; range: string | undefined; ifRange: string | undefined }[];
  answer: RequestListener;
  close(): Promise<void>;
}

export async function weightServer(): Promise<WeightServer> {
  const asked: WeightServer['asked'] = [];
  const server = createServer((request, response) => {
    const { range, 'if-range': ifRange } = request.headers;
    asked.push({ path: request.url ?? '', range, ifRange: ifRange?.toString() });
    self.answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const self: WeightServer = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    answer: (_, response) => void response.writeHead(404).end(),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return self;
}

export interface Serving {
  readonly etag?: string | null;
  readonly modified?: string;
  /** `ignored`: always the whole file; `blind`: ranges whatever If-Range says. */
  readonly ranges?: 'heeded' | 'ignored' | 'blind';
  /** Bytes of this answer after which its connection is cut; absent: never. */
  readonly cutAfter?: number;
  /** Silence instead of the cut. */
  readonly hang?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers as RFC 9110 wants it (ranges, If-Range), and with the faults that are asked for. */
export function serve(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Uint8Array,
  { etag = '"1"', modified, ranges = 'heeded', cutAfter, hang = false, headers = {} }: Serving = {},
): void {
  const { range, 'if-range': ifRange } = request.headers;
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? NaN);
  const unchanged = ifRange === undefined || ifRange === etag || ifRange === modified || ranges === 'blind';
  const partial = ranges !== 'ignored' && unchanged && !Number.isNaN(from);
  const head = {
    'content-type': 'application/octet-stream',
    ...(etag !== null && { etag }),
    ...(modified !== undefined && { 'last-modified': modified }),
    ...headers,
  };
  if (partial && from >= bytes.length)
    return void response.writeHead(416, { ...head, 'content-range': `bytes */${bytes.length}` }).end();
  const body = partial ? bytes.subarray(from) : bytes;
  response.writeHead(partial ? 206 : 200, {
    ...head,
    'content-length': body.length,
    ...(partial && { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
  });
  if (cutAfter === undefined) return void response.end(body);
  // A cut before somebody has read the bytes would lose them: a stream that fails drops what it holds.
  response.write(body.subarray(0, cutAfter), () => {
    if (!hang) setTimeout(() => response.destroy(), 500);
  });
}
