import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { UserError } from '../../../errors.ts';
import { formatBytes } from './bytes.ts';
import type { KaggleCredentials } from './credentials.ts';
import {
  DownloadNotAZipError,
  DownloadSizeError,
  DownloadStoppedError,
  KaggleRateLimitError,
  KaggleUnreachableError,
} from './errors.ts';
import {
  diskFailure,
  dropPart,
  finishPart,
  isSameFile,
  pathsOf,
  pinOf,
  resumable,
  validatorOf,
  writeAll,
  writePin,
  type Paths,
  type Pin,
} from './part.ts';
import { refusalOf } from './refusal.ts';
import { downloadAddress, getFollowing, retryAfter } from './request.ts';

export interface DownloadOptions {
  /** `owner/name`. */
  readonly dataset: string;
  readonly credentials: KaggleCredentials;
  /** Path of the zip; `<zip>.part` beside it grows until it is whole. */
  readonly zip: string;
  /** Failures in a row, none of which brought a byte further, before it gives up. */
  readonly tries: number;
  /** Seconds before the second try, doubled for each further one, unless the server names a time. */
  readonly firstWait: number;
  /** Seconds without a byte after which a connection counts as broken. */
  readonly stall: number;
  /** Seconds that it waits at most; where Kaggle asks for more (429), it gives up. */
  readonly longestWait: number;
  readonly signal: AbortSignal;
  readonly env?: NodeJS.ProcessEnv;
  onProgress(bytes: number, total: number | null): void;
  onNotice(text: string): void;
}

/** What is on the disk, and of which file. */
interface State {
  pin: Pin | null;
  have: number;
  host: string;
}

/** Why a try did not bring the rest. `seconds`: how long the server asks to wait. */
interface Setback {
  readonly reason: string;
  readonly seconds: number | null;
  readonly limited: boolean;
}

/**
 * Fetches the zip of a data set into `<zip>.part` and renames it when its size and checksum are right. Memory stays constant. A broken
 * connection is taken up again where it broke (`Range` with `If-Range`), and so is the `.part` of an earlier process, as long as the
 * file on the server is still the same; otherwise it starts over. Each try begins at the API: storage addresses expire.
 * Throws the errors of errors.ts.
 */
export async function download(options: DownloadOptions): Promise<void> {
  const paths = pathsOf(options.zip);
  const state: State = {
    ...(await resumable(paths, options.dataset)),
    host: downloadAddress(options.dataset, options.env).host,
  };
  if (state.have > 0) options.onNotice(`Going on from ${soFar(state)}, which are on the disk already.`);
  await mkdir(dirname(options.zip), { recursive: true }).catch(async (error: unknown) => {
    throw await diskFailure(error, dirname(options.zip), null, keptOf(state, paths));
  });
  let failures = 0;
  let farthest = state.have;
  while (!isWhole(state)) {
    const setback = await attempt(state, paths, options);
    if (setback === null) break;
    failures = state.have > farthest ? 1 : failures + 1;
    farthest = Math.max(farthest, state.have);
    await waitAfter(setback, failures, state, paths, options);
  }
  await finishPart(paths, state.pin as Pin);
}

const isWhole = ({ pin, have }: State): boolean => pin?.size != null && have === pin.size;
const soFar = ({ pin, have }: State): string =>
  pin?.size == null ? formatBytes(have) : `${formatBytes(have)} of ${formatBytes(pin.size)}`;
const keptOf = (state: State, paths: Paths): string =>
  state.have > 0
    ? `${soFar(state)}, in ${paths.part}.`
    : 'Nothing was fetched; what was on the disk before is unchanged.';

/** One connection. Null: the file is whole. */
async function attempt(state: State, paths: Paths, options: DownloadOptions): Promise<Setback | null> {
  const stalled = new AbortController();
  const timer = setTimeout(() => stalled.abort(), options.stall * 1000);
  try {
    const signal = AbortSignal.any([options.signal, stalled.signal]);
    return await fetchRest(state, paths, { ...options, signal }, () => timer.refresh());
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (options.signal.aborted) throw new DownloadStoppedError(keptOf(state, paths));
    const reason = stalled.signal.aborted ? `not a byte for ${options.stall} s` : reasonOf(error);
    return { reason, seconds: null, limited: false };
  } finally {
    clearTimeout(timer);
  }
}

async function fetchRest(
  state: State,
  paths: Paths,
  options: DownloadOptions,
  alive: () => void,
): Promise<Setback | null> {
  const validator = state.pin === null ? null : validatorOf(state.pin);
  const from = validator === null ? 0 : state.have;
  const headers: Record<string, string> = { 'accept-encoding': 'identity', 'user-agent': 'pacerid-studio' };
  if (from > 0 && validator !== null) Object.assign(headers, { range: `bytes=${from}-`, 'if-range': validator });
  const address = downloadAddress(options.dataset, options.env);
  const answer = await getFollowing(address, options.credentials, headers, options.signal, keptOf(state, paths));
  alive();
  const { response } = answer;
  state.host = new URL(answer.origin).host;
  if (response.status === 429 || response.status === 408 || response.status >= 500) {
    await response.body?.cancel();
    const limited = response.status === 429;
    return { reason: `the answer ${response.status}`, seconds: retryAfter(response), limited };
  }
  if (response.status === 206 && from > 0 && state.pin !== null && continues(response, state.pin, from)) {
    return takeBytes(response, state, paths, options, alive);
  }
  if (from > 0 && (response.status === 206 || response.status === 416)) {
    // Another file by now, or another piece than was asked for: the next try asks for all of it.
    await response.body?.cancel();
    await dropPart(paths);
    Object.assign(state, { pin: null, have: 0 });
    options.onNotice('The file at Kaggle is not the one that was begun. Starting from the beginning.');
    return fetchRest(state, paths, options, alive);
  }
  if (response.status !== 200 || answer.signIn) {
    throw await refusalOf(answer, options.dataset, options.credentials, keptOf(state, paths));
  }
  const type = response.headers.get('content-type');
  if (type?.startsWith('text/') === true) {
    // A hotel's sign-in page must not cost the part that is there.
    await response.body?.cancel();
    throw new DownloadNotAZipError(state.host, type, keptOf(state, paths));
  }
  if (state.have > 0) {
    const same = state.pin !== null && isSameFile(state.pin, response);
    const why = same ? 'The server sends whole files only.' : 'The file at Kaggle has changed since.';
    options.onNotice(`${why} Starting from the beginning.`);
  }
  Object.assign(state, { pin: pinOf(response, options.dataset), have: 0 });
  return takeBytes(response, state, paths, options, alive);
}

/** `Content-Range: bytes 1000-4999/5000` of the pinned file, from where the part ends. */
function continues(response: Response, pin: Pin, from: number): boolean {
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
  if (range === null || Number(range[1]) !== from) return false;
  if (pin.size !== null && range[2] !== '*' && Number(range[2]) !== pin.size) return false;
  // Storage that does not know If-Range answers 206 whatever the file is by now.
  return isSameFile(pin, response);
}

async function takeBytes(
  response: Response,
  state: State,
  paths: Paths,
  options: DownloadOptions,
  alive: () => void,
): Promise<Setback | null> {
  const pin = state.pin as Pin;
  const failed = (error: unknown): Promise<Error> =>
    diskFailure(error, paths.part, pin.size === null ? null : pin.size - state.have, keptOf(state, paths));
  // Emptied before the pin is written: a kill in between never leaves old bytes under a new pin.
  const file = await open(paths.part, state.have === 0 ? 'w' : 'r+').catch(async (error: unknown) => {
    throw await failed(error);
  });
  try {
    if (state.have === 0) await writePin(paths.partPin, pin);
    options.onProgress(state.have, pin.size);
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      alive();
      if (state.have === 0 && !Buffer.from('PK').subarray(0, chunk.length).equals(chunk.subarray(0, 2))) {
        await dropPart(paths);
        throw new DownloadNotAZipError(state.host, response.headers.get('content-type'), keptOf(state, paths));
      }
      if (pin.size !== null && state.have + chunk.length > pin.size) {
        await dropPart(paths);
        const got = `more than ${formatBytes(pin.size)}`;
        throw new DownloadSizeError(paths.zip, got, formatBytes(pin.size));
      }
      await writeAll(file, chunk, state.have).catch(async (error: unknown) => {
        throw await failed(error);
      });
      state.have += chunk.length;
      options.onProgress(state.have, pin.size);
    }
    if (pin.size !== null && state.have < pin.size) {
      return { reason: 'the answer ended early', seconds: null, limited: false };
    }
    await file.sync().catch(async (error: unknown) => {
      throw await failed(error);
    });
    return null;
  } finally {
    await file.close();
  }
}

async function waitAfter(
  { reason, seconds, limited }: Setback,
  failures: number,
  state: State,
  paths: Paths,
  { tries, firstWait, longestWait, signal, onNotice }: DownloadOptions,
): Promise<void> {
  const kept = keptOf(state, paths);
  if (limited && seconds !== null && seconds > longestWait) throw new KaggleRateLimitError(seconds, kept);
  if (failures >= tries) {
    throw limited ? new KaggleRateLimitError(null, kept) : new KaggleUnreachableError(state.host, reason, tries, kept);
  }
  const wait = Math.min(seconds ?? firstWait * 2 ** (failures - 1), longestWait);
  const what = limited
    ? 'Kaggle asks for patience (too many requests)'
    : `The connection broke at ${soFar(state)} (${reason})`;
  onNotice(
    `${what}. Trying again in ${Number(wait.toFixed(1))} s, ${tries - failures} more ${tries - failures === 1 ? 'try' : 'tries'}.`,
  );
  await pause(wait * 1000, undefined, { signal }).catch(() => {
    throw new DownloadStoppedError(kept);
  });
}

/** `fetch` wraps the reason; its own words (`fetch failed`, `terminated`) tell nobody anything. */
function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = inner instanceof Error && 'code' in inner ? String(inner.code) : '';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'its name cannot be looked up';
  if (code === 'ECONNREFUSED') return 'it refuses connections';
  if (['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(code)) return 'it closed the connection';
  if (code === 'ETIMEDOUT' || (code.startsWith('UND_ERR_') && code.endsWith('TIMEOUT'))) return 'no answer in time';
  return inner instanceof Error ? inner.message : String(inner);
}
