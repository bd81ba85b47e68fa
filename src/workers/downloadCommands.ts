import { NotAZipError } from '../dataset/errors.ts';
import { locate, mayFetch } from '../hosts.ts';
import { DownloadCancelledError } from '../weights/errors.ts';
import {
  DownloadBrokenError,
  HostNotAllowedError,
  LinkMissingError,
  LinkTooLargeError,
  LinkUnreachableError,
  NoRoomForLinkError,
} from './downloadErrors.ts';
import type { Handlers } from './endpoint.ts';
import type { DatasetCommands, DatasetEvent } from './protocol.ts';

export interface DownloadPlatform {
  readonly fetch: typeof fetch;
  /** The page's folder, where relative addresses begin; ends in `/`. */
  readonly page: string;
  /** Bytes that may still be stored; null where the browser doesn't say. */
  room(): Promise<number | null>;
  /** Milliseconds, for the time left. */
  now(): number;
  /** Bytes of a file at most; only tests put another number in. */
  readonly largest?: number;
}

export type DownloadCommands = Pick<Handlers<DatasetCommands>, 'lookAtLink' | 'download' | 'cancelDownload'>;

/** A page must hold a downloaded file whole; a dropped one it reads from the disk. */
const LARGEST = 2 ** 30;
/** The zip itself, and the originals and uncropped copies that are made of it. */
const ROOM_FOR_ONE_BYTE = 2.2;
const PATIENCE_MS = 20_000;
/** What has arrived is handed to the browser in parts of this size, which it may put on the disk. */
const PART_BYTES = 8 * 2 ** 20;
const TELL_EVERY_MS = 100;

/** Files that a link names: looked at first, downloaded when the user wants them. */
export function downloadCommands(platform: DownloadPlatform, emit: (event: DatasetEvent) => void): DownloadCommands {
  // Called as a plain function: a method call would hand the browser's fetch a wrong `this`.
  const { fetch, now, largest = LARGEST } = platform;
  const pageOrigin = new URL(platform.page).origin;
  const underWay = new Map<string, AbortController>();

  const allowed = (address: string): URL => {
    const url = locate(address, platform.page);
    if (url === null) throw new LinkMissingError(address, 'this is no address');
    if (!/^https?:$/.test(url.protocol)) throw new HostNotAllowedError(address, '');
    if (!mayFetch(url, pageOrigin)) throw new HostNotAllowedError(address, url.host);
    return url;
  };

  /** A copy in the browser's cache would take its room a second time. */
  const asked = async (url: URL, method: 'GET' | 'HEAD', signal: AbortSignal): Promise<Response> => {
    const response = await fetch(url, { method, signal, cache: 'no-store' });
    const last = new URL(response.url === '' ? url : response.url);
    if (!mayFetch(last, pageOrigin)) throw new HostNotAllowedError(last.href, last.host);
    return response;
  };

  const look = async (url: URL): Promise<number | null> => {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), PATIENCE_MS);
    try {
      const head = await asked(url, 'HEAD', stop.signal).catch((error: unknown) => {
        if (error instanceof HostNotAllowedError) throw error;
        return null;
      });
      if (head?.ok && !isPage(head) && sizeOf(head) !== null) return sizeOf(head);
      // Some servers refuse HEAD, or have a word for the file's size with GET alone: only the headers of that are waited for.
      const response = await asked(url, 'GET', stop.signal);
      assertFile(url, response);
      return sizeOf(response);
    } catch (error) {
      throw inWords(url, error, stop.signal.aborted ? 'it did not answer for 20 seconds' : null);
    } finally {
      clearTimeout(timer);
      stop.abort();
    }
  };

  const assertFits = async (name: string, bytes: number): Promise<void> => {
    if (bytes > largest) throw new LinkTooLargeError(name, bytes, largest);
    const room = await platform.room();
    const needed = bytes * ROOM_FOR_ONE_BYTE;
    if (room !== null && needed > room) throw new NoRoomForLinkError(name, needed, room);
  };

  const receive = async (url: URL, expected: number | null, signal: AbortSignal): Promise<Blob> => {
    const name = nameOf(url);
    const response = await asked(url, 'GET', signal);
    assertFile(url, response);
    const total = sizeOf(response) ?? expected;
    if (total !== null) await assertFits(name, total);

    const started = now();
    let told = -Infinity;
    const tell = (done: number): void => {
      if (now() - told < TELL_EVERY_MS && done !== total) return;
      told = now();
      const seconds = (now() - started) / 1000;
      const known = total === null ? null : Math.max(total, done);
      const secondsLeft = known === null || seconds < 1 ? null : (seconds * (known - done)) / done;
      emit({ type: 'downloadProgress', url: url.href, done, total: known, secondsLeft });
    };

    const parts: Blob[] = [];
    let chunks: Uint8Array<ArrayBuffer>[] = [];
    let [done, held, checked] = [0, 0, false];
    const keep = (): void => {
      parts.push(new Blob(chunks));
      [chunks, held] = [[], 0];
    };
    try {
      const reader = response.body?.getReader();
      for (;;) {
        const next = await reader?.read();
        if (next === undefined || next.done) break;
        chunks.push(next.value);
        held += next.value.length;
        done += next.value.length;
        if (!checked && done >= ZIP.length) {
          await assertZip(name, chunks);
          checked = true;
        }
        if (done > largest) throw new LinkTooLargeError(name, null, largest);
        if (held >= PART_BYTES) keep();
        tell(done);
      }
    } catch (error) {
      if (error instanceof LinkTooLargeError || error instanceof NotAZipError) throw error;
      throw new DownloadBrokenError(name, done, total, error);
    }
    if (sizeOf(response) !== null && done < sizeOf(response)!) throw new DownloadBrokenError(name, done, total);
    if (!checked) throw new NotAZipError(name);
    keep();
    return new Blob(parts, { type: 'application/zip' });
  };

  return {
    lookAtLink: async ({ address }) => {
      const url = allowed(address);
      const bytes = await look(url);
      const name = nameOf(url);
      if (bytes !== null) await assertFits(name, bytes);
      return { url: url.href, name, host: url.origin === pageOrigin ? null : url.host, bytes };
    },
    download: async ({ url: address, bytes }) => {
      const url = allowed(address);
      const stop = new AbortController();
      underWay.set(url.href, stop);
      try {
        return await receive(url, bytes, stop.signal);
      } catch (error) {
        if (stop.signal.aborted) throw new DownloadCancelledError(nameOf(url));
        throw error instanceof DownloadBrokenError ? error : inWords(url, error, null);
      } finally {
        if (underWay.get(url.href) === stop) underWay.delete(url.href);
        // What made this end early must not go on coming.
        stop.abort();
      }
    },
    cancelDownload: ({ url }) => {
      underWay.get(url)?.abort();
      return null;
    },
  };
}

/** `x.zip`; the host's name where the address ends in a folder. */
function nameOf(url: URL): string {
  const last = url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
  if (last === '') return url.host;
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

/** Of the whole file; null where the server doesn't say, or says how much it has when packed for the way. */
function sizeOf({ headers }: Response): number | null {
  const [length, packed] = [headers.get('content-length'), headers.get('content-encoding') ?? 'identity'];
  return length !== null && /^\d+$/.test(length) && packed === 'identity' ? Number(length) : null;
}

/** Hosts of single-page apps answer what they don't have with the page. */
function isPage({ headers }: Response): boolean {
  return headers.get('content-type')?.startsWith('text/html') ?? false;
}

function assertFile(url: URL, response: Response): void {
  const { status } = response;
  if (status >= 500 || status === 429)
    throw new LinkUnreachableError(url.href, `its server answers “HTTP ${status}”, which may pass`);
  if (!response.ok) throw new LinkMissingError(url.href, `the server answers “HTTP ${status}”`);
  if (isPage(response)) throw new LinkMissingError(url.href, 'the server answers with a web page');
}

/** A named failure as it is; what `fetch` throws says nothing to a reader. */
function inWords(url: URL, error: unknown, reason: string | null): unknown {
  if (!(error instanceof TypeError || (error instanceof Error && error.name === 'AbortError'))) return error;
  return new LinkUnreachableError(
    url.href,
    reason ?? 'there is no network, its server is down, or it leads on to a host that this page may not reach',
    error,
  );
}

/** `PK`: how every zip begins. */
const ZIP = [0x50, 0x4b] as const;

async function assertZip(name: string, chunks: readonly Uint8Array<ArrayBuffer>[]): Promise<void> {
  const start = new Uint8Array(await new Blob([...chunks]).slice(0, ZIP.length).arrayBuffer());
  if (!ZIP.every((byte, i) => start[i] === byte)) throw new NotAZipError(name);
}
