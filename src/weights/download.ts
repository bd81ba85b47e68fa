import { inSeconds, progressOf } from './downloadProgress.ts';
import type { DownloadProgress, Part } from './types.ts';

export interface Patience {
  /** Failures in a row, none of which brought a byte further, before it gives up. */
  readonly tries: number;
  /** Before the second try, ms; doubled for each further one, unless the server names a time. */
  readonly firstWait: number;
  readonly longestWait: number;
  /** Without a byte for so long, ms, a connection counts as broken. */
  readonly stall: number;
}

export const PATIENCE: Patience = { tries: 5, firstWait: 1000, longestWait: 30_000, stall: 20_000 };

export interface DownloadOptions {
  readonly fetch: typeof fetch;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Address of the page that asks: what it may send to other origins, and read of their answers, CORS says. Null: no page. */
  readonly page: string | null;
  /** Whether a checksum will tell if what came is the file: then parts of unknown versions may be put together. */
  readonly checked: boolean;
  readonly patience: Patience;
  /** What arrived of an earlier download that gave up is taken from here, and left here by this one if it gives up. */
  readonly parts?: Map<string, Part> | undefined;
}

/** No file of this source: there is none, or it could not be had. The reason in words. */
export class NotDownloaded extends Error {}

/** Why a try did not bring the rest. `wait`: how long the server asks to wait, ms. `busy`: it answered that it cannot now. */
class Setback extends Error {
  constructor(
    reason: string,
    readonly wait: number | null = null,
    readonly busy = false,
  ) {
    super(reason);
  }
}

const nothing = (): Part => ({
  chunks: [],
  done: 0,
  total: null,
  etag: null,
  modified: null,
  resumable: true,
  pieces: 0,
});

/**
 * A file, whole as far as the server tells; memory holds it once. A broken or silent connection is taken up where it broke (`Range`,
 * with `If-Range` where that may be sent) as long as it is the same file there; otherwise it starts over. Rejects with `NotDownloaded`,
 * or with the signal's reason.
 *
 * In a page, to another origin: a simple `Range` needs no preflight (https://fetch.spec.whatwg.org/#cors-safelisted-request-header),
 * `If-Range` would; some hosts' stores answer a redirected `Range` with a preflight that fails, and of an answer `ETag` and
 * `Content-Range` can be read only if the server says so, `Content-Length` and `Last-Modified` always.
 */
export async function download(
  source: { readonly url: string; readonly bytes: number | null },
  options: DownloadOptions,
): Promise<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly pieces: number }> {
  const { signal, patience, page, parts } = options;
  const { url } = source;
  const foreign = page !== null && new URL(url).origin !== new URL(page).origin;
  const part = parts?.get(url) ?? nothing();
  parts?.delete(url);
  const progress = progressOf(source, part, options.onProgress);
  let failures = 0;
  let farthest = part.done;
  let [answered, rangesWork] = [false, false];
  const givenUp = (reason: string): NotDownloaded => {
    if (part.done > 0) parts?.set(url, part);
    return new NotDownloaded(reason);
  };
  for (;;) {
    // Where a range may be what fails, the last tries do without.
    const ranged = !foreign || rangesWork || failures <= patience.tries / 2;
    const connection = connect(url, part, { ...options, foreign, ranged });
    try {
      const response = await connection.response;
      answered = true;
      rangesWork ||= response.status === 206;
      takeUp(part, response, connection.from, options.checked);
      progress.starts();
      for await (const chunk of connection.chunks(response)) {
        part.chunks.push(chunk);
        part.done += chunk.length;
        // Packed for the way, and the header that says so can't be read: the length is that of fewer bytes.
        if (part.total !== null && part.done > part.total) Object.assign(part, { total: null, resumable: false });
        progress.tell();
      }
      if (part.total === null || part.done >= part.total) return { bytes: joined(part), pieces: part.pieces };
      throw new Setback('the answer ended early');
    } catch (error) {
      if (signal?.aborted) throw error;
      if (error instanceof NotDownloaded) throw givenUp(error.message);
      const silent = `nothing came for ${inSeconds(patience.stall)}`;
      const reason = error instanceof Setback ? error.message : connection.stalled() ? silent : 'it was closed';
      failures = part.done > farthest ? 1 : failures + 1;
      farthest = Math.max(farthest, part.done);
      // A server that was never heard is not waited for: there may be another source, or no network at all.
      const tries = answered ? patience.tries : connection.stalled() ? 2 : 1;
      const busy = error instanceof Setback && error.busy;
      if (failures >= tries) {
        const after = failures > 1 ? `, ${failures} times` : '';
        throw givenUp(`${busy ? 'the server is busy' : 'the connection failed'} (${reason}${after})`);
      }
      const asked = error instanceof Setback ? error.wait : null;
      if (asked !== null && asked > patience.longestWait)
        throw givenUp(`the server is busy (${reason}) and asks to wait ${inSeconds(asked)}`);
      const wait = asked ?? Math.min(patience.firstWait * 2 ** (failures - 1), patience.longestWait);
      const what = busy ? 'The server is busy' : 'The connection broke';
      progress.waits(`${what} (${reason}): trying again ${wait < 100 ? 'now' : `in ${inSeconds(wait)}`}`);
      await pause(wait, signal);
    } finally {
      connection.close();
    }
  }
}

interface Connection {
  /** The byte that was asked for first. */
  readonly from: { readonly byte: number; readonly ifRange: boolean };
  readonly response: Promise<Response>;
  chunks(response: Response): AsyncIterable<Uint8Array>;
  stalled(): boolean;
  /** Ends it if it is still open. */
  close(): void;
}

function connect(
  url: string,
  part: Part,
  options: DownloadOptions & { readonly foreign: boolean; readonly ranged: boolean },
): Connection {
  const { fetch, signal, foreign, ranged, patience } = options;
  const stop = new AbortController();
  let stalled = false;
  const onAbort = (): void => stop.abort(signal?.reason);
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  const silence = (): ReturnType<typeof setTimeout> =>
    setTimeout(() => {
      stalled = true;
      stop.abort();
    }, patience.stall);
  let timer = silence();
  const alive = (): void => {
    clearTimeout(timer);
    timer = silence();
  };

  const byte = ranged && part.resumable ? part.done : 0;
  // A weak ETag is no promise about bytes.
  const validator = part.etag?.startsWith('W/') === false ? part.etag : part.modified;
  const ifRange = byte > 0 && !foreign && validator !== null;
  const headers = {
    ...(byte > 0 && { range: `bytes=${byte}-` }),
    ...(ifRange && { 'if-range': validator }),
  };
  // What is kept is kept by us: a copy in the browser's cache would take its room a second time. Node's types lack `cache`.
  const request = { headers, signal: stop.signal, cache: 'no-store' as const };
  const response = fetch(url, request);
  return {
    from: { byte, ifRange },
    response,
    async *chunks({ body }) {
      const reader = body?.getReader();
      for (;;) {
        alive();
        const next = await reader?.read();
        if (next === undefined || next.done) return;
        yield next.value;
      }
    },
    stalled: () => stalled,
    close: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      stop.abort();
    },
  };
}

/** Looks at an answer's head: what goes on where `part` ends, what begins anew. Throws `NotDownloaded`, `Setback`. */
function takeUp(part: Part, response: Response, from: Connection['from'], checked: boolean): void {
  const { status, headers } = response;
  if (status === 408 || status === 425 || status === 429 || status >= 500)
    throw new Setback(`HTTP ${status}`, retryAfter(headers), true);
  const length = lengthOf(headers);
  if (from.byte > 0 && (status === 206 || status === 416)) {
    if (status === 206 && goesOn(part, headers, length, from.ifRange, checked)) {
      part.pieces += 1;
      return;
    }
    // Another file by now, or another piece than was asked for: the next try asks for all of it.
    Object.assign(part, nothing());
    throw new Setback(status === 416 ? 'HTTP 416' : 'the file there is another one by now', 0);
  }
  if (status !== 200) throw new NotDownloaded(`HTTP ${status}`);
  // Hosts of single-page apps answer what they don't have with the page.
  if (headers.get('content-type')?.startsWith('text/html')) throw new NotDownloaded('there is no such file');
  const [etag, modified] = [headers.get('etag'), headers.get('last-modified')];
  const resumable = (headers.get('content-encoding') ?? 'identity') === 'identity';
  Object.assign(part, nothing(), { total: length, etag, modified, resumable, pieces: 1 });
}

/** Whether a 206 is the rest of the file that was begun. */
function goesOn(part: Part, headers: Headers, length: number | null, ifRange: boolean, checked: boolean): boolean {
  const range = headers.get('content-range');
  if (range !== null) {
    const [, first, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(range) ?? [];
    if (first === undefined || Number(first) !== part.done) return false;
    if (part.total !== null && total !== '*' && Number(total) !== part.total) return false;
  } else if (length !== null && part.total !== null) {
    if (part.done + length !== part.total) return false;
  } else if (!checked) return false;
  const [etag, modified] = [headers.get('etag'), headers.get('last-modified')];
  const differs = (a: string | null, b: string | null): boolean => a !== null && b !== null && a !== b;
  if (differs(etag, part.etag) || differs(modified, part.modified)) return false;
  const same = (etag !== null && etag === part.etag) || (modified !== null && modified === part.modified);
  // A server that heeds If-Range need not repeat the date; one that does not know it repeats nothing either way.
  return same || checked || (ifRange && etag === null && modified === null);
}

/** Of what comes now; null where the server doesn't say, or says how much it has when packed for the way. */
function lengthOf(headers: Headers): number | null {
  const [length, packed] = [headers.get('content-length'), headers.get('content-encoding') ?? 'identity'];
  return length !== null && /^\d+$/.test(length) && packed === 'identity' ? Number(length) : null;
}

/** ms; a date in it is not heeded. */
function retryAfter(headers: Headers): number | null {
  const seconds = headers.get('retry-after');
  return seconds !== null && /^\d+$/.test(seconds) ? Number(seconds) * 1000 : null;
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

function joined({ chunks, done }: Part): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(done);
  let position = 0;
  // Each chunk goes as it is copied: both together would take twice the file's size.
  for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
    bytes.set(chunk, position);
    position += chunk.length;
  }
  return bytes;
}
