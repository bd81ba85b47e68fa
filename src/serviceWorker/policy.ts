import { allowedHosts } from '../hosts.ts';

export interface Policy {
  /** For `<meta http-equiv>`: covers the very first visit, before the service worker has the page. */
  readonly meta: string;
  /** Of documents and worker scripts. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * What a page and its workers may do, whatever their code says: run scripts of their own origin and wasm, and talk to their own
 * origin and to `hosts`, which are written as in a policy. A static host sends no headers, and a `<meta>` policy does not reach
 * workers: the service worker puts these headers on every document and worker script of the page.
 */
export function policyOf(hosts: readonly string[]): Policy {
  const directives = {
    'default-src': ["'none'"],
    // Compiling wasm counts as evaluating; nothing else may be evaluated, and no script stands in the page itself.
    'script-src': ["'self'", "'wasm-unsafe-eval'"],
    'worker-src': ["'self'"],
    'connect-src': ["'self'", ...hosts],
    'img-src': ["'self'", 'blob:'],
    'media-src': ["'self'", 'blob:'],
    'style-src': ["'self'"],
    'manifest-src': ["'self'"],
    'base-uri': ["'none'"],
    'form-action': ["'none'"],
  };
  return {
    meta: written(directives),
    headers: {
      // Also says who may frame the page, which a `<meta>` can't.
      'Content-Security-Policy': written({ ...directives, 'frame-ancestors': ["'self'"] }),
      // These two isolate the page: wasm may have threads.
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Embedder-Policy': 'require-corp',
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
    },
  };
}

function written(policy: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(policy)
    .map(([name, sources]) => `${name} ${sources.join(' ')}`)
    .join('; ');
}

/** The app's, which fetches weights from elsewhere. */
export const appPolicy = policyOf(allowedHosts.map(({ source }) => source));
export const policyHeaders = appPolicy.headers;
