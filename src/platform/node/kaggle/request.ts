import type { KaggleCredentials } from './credentials.ts';
import { KaggleAnswerError, KaggleEndpointError } from './errors.ts';

const mostRedirects = 5;

/**
 * `GET /datasets/download/{owner}/{slug}`: what Kaggle's pages print for curl. It answers with a redirect to a signed address of its
 * storage. KAGGLE_API_ENDPOINT leads elsewhere, as it does Kaggle's own clients; it may end with /api/v1. Throws
 * `KaggleEndpointError` where that is no address, or one where the key would travel unencrypted.
 */
export function downloadAddress(dataset: string, env: NodeJS.ProcessEnv = process.env): URL {
  const endpoint = (env.KAGGLE_API_ENDPOINT || 'https://www.kaggle.com').replace(/\/+$/, '');
  const base = endpoint.endsWith('/api/v1') ? endpoint : `${endpoint}/api/v1`;
  const path = dataset.split('/').map(encodeURIComponent).join('/');
  const text = `${base}/datasets/download/${path}`;
  const address = URL.canParse(text) ? new URL(text) : null;
  const local = ['localhost', '127.0.0.1', '[::1]'];
  if (address?.protocol === 'https:' || (address?.protocol === 'http:' && local.includes(address.hostname)))
    return address;
  throw new KaggleEndpointError(endpoint);
}

export interface Answer {
  readonly response: Response;
  /** Scheme, host and port that answered; the address itself is signed and stays out of messages. */
  readonly origin: string;
  /** The API itself answered, not its storage. */
  readonly fromApi: boolean;
  /** Sent on to the page where one signs in: what the API does with some wrong credentials. */
  readonly signIn: boolean;
}

/**
 * Follows redirects by hand, so that the credentials go to the API's own origin alone: a signed storage address needs none, and
 * refuses some. Throws what `fetch` throws, and `KaggleAnswerError` for redirects in a circle or away from https.
 */
export async function getFollowing(
  address: URL,
  credentials: KaggleCredentials,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
  kept: string,
): Promise<Answer> {
  let current = address;
  for (let hops = 0; hops <= mostRedirects; hops++) {
    const fromApi = current.origin === address.origin;
    const response = await fetch(current, {
      redirect: 'manual',
      signal,
      headers: fromApi ? { ...headers, authorization: credentials.authorization } : headers,
    });
    const location = response.headers.get('location');
    if (![301, 302, 303, 307, 308].includes(response.status) || location === null) {
      return { response, origin: current.origin, fromApi, signIn: false };
    }
    await response.body?.cancel();
    const next = new URL(location, current);
    if (next.origin === address.origin && /^\/account\/login/i.test(next.pathname)) {
      return { response, origin: current.origin, fromApi, signIn: true };
    }
    if (current.protocol === 'https:' && next.protocol !== 'https:') {
      throw new KaggleAnswerError(`${current.host} sent the download on to an address that is not encrypted.`, kept);
    }
    current = next;
  }
  throw new KaggleAnswerError(`${address.host} sent the download on more than ${mostRedirects} times.`, kept);
}

/** What the answer says in words: `{"code": 403, "message": "…"}`, or plain text. One line, without secrets, never a whole page. */
export async function messageOf(response: Response, secrets: readonly string[]): Promise<string> {
  const text = await firstBytes(response, 16_384);
  let said = /<html|<!doctype/i.test(text) ? '' : text;
  try {
    const value: unknown = JSON.parse(text);
    const message: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'message') : undefined;
    said = typeof message === 'string' ? message : '';
  } catch {
    // Not JSON, then.
  }
  for (const secret of secrets) said = said.replaceAll(secret, '…');
  return said.replaceAll(/\s+/g, ' ').trim().slice(0, 300);
}

async function firstBytes(response: Response, most: number): Promise<string> {
  if (response.body === null) return '';
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body as AsyncIterable<Uint8Array>) {
    pieces.push(piece);
    size += piece.length;
    if (size >= most) break;
  }
  return Buffer.concat(pieces).toString('utf8', 0, most);
}

/** Seconds that `Retry-After` asks for: a number or a date (RFC 9110, 10.2.3). Null: it says nothing. */
export function retryAfter(response: Response, now = Date.now()): number | null {
  const value = response.headers.get('retry-after')?.trim();
  if (value === undefined || value === '') return null;
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value);
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, (date - now) / 1000);
}
