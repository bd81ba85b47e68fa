import { allowedHosts } from '../hosts.ts';

/**
 * What the page and its workers may do, whatever their code says: run scripts of their own origin and wasm, and talk to their own
 * origin and the hosts of hosts.ts. A static host sends no headers, and a `<meta>` policy does not reach workers: the service worker
 * puts these headers on every document and worker script that it hands out.
 */
const directives: Readonly<Record<string, readonly string[]>> = {
  'default-src': ["'none'"],
  // Compiling wasm counts as evaluating; nothing else may be evaluated, and no script stands in the page itself.
  'script-src': ["'self'", "'wasm-unsafe-eval'"],
  'worker-src': ["'self'"],
  'connect-src': ["'self'", ...allowedHosts.map(({ source }) => source)],
  'img-src': ["'self'", 'blob:'],
  'media-src': ["'self'", 'blob:'],
  'style-src': ["'self'"],
  'manifest-src': ["'self'"],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
};

function written(policy: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(policy)
    .map(([name, sources]) => `${name} ${sources.join(' ')}`)
    .join('; ');
}

/** For `<meta http-equiv>`: covers the very first visit, before the service worker has the page. */
export const metaPolicy = written(directives);

/** For a response: also says who may frame the page, which a `<meta>` can't. */
export const contentSecurityPolicy = written({ ...directives, 'frame-ancestors': ["'self'"] });

/** Headers of documents and worker scripts. The two `Cross-Origin-…-Policy` isolate the page: wasm may have threads. */
export const policyHeaders: Readonly<Record<string, string>> = {
  'Content-Security-Policy': contentSecurityPolicy,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/** Bodies that a `Response` must be made without. */
const WITHOUT_BODY = new Set([101, 204, 205, 304]);

/** The same response under the policy. */
export function underPolicy(response: Response): Response {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(policyHeaders)) headers.set(name, value);
  const { status, statusText } = response;
  return new Response(WITHOUT_BODY.has(status) ? null : response.body, { status, statusText, headers });
}
