/**
 * Every foreign host that this page may ever be asked to talk to, in one list: the Content-Security-Policy of the page and of its
 * workers (`connect-src`) is made of it, and a link may name a file on these hosts and on no others. Nothing is asked of them,
 * not even a file's size, before the user says so.
 */
export interface AllowedHost {
  /** As in a policy: a scheme and a host, or `*.` and a domain. */
  readonly source: string;
  readonly why: string;
}

export const allowedHosts: readonly AllowedHost[] = [
  { source: 'https://huggingface.co', why: 'ImageNet weights (weights/sources.ts)' },
  // Large files are redirected to its stores, whose names change with region and age.
  { source: 'https://*.huggingface.co', why: 'where huggingface.co keeps large files' },
  { source: 'https://*.hf.co', why: 'where huggingface.co keeps large files' },
];

/**
 * Where the file lies that a link names, seen from the page; null where that is no address. Without a name and a password, which
 * `fetch` refuses.
 */
export function locate(address: string, page: string): URL | null {
  if (!URL.canParse(address, page)) return null;
  const url = new URL(address, page);
  [url.hash, url.username, url.password] = ['', '', ''];
  return url;
}

/** Whether a link may name a file there: on the page's own origin, or on one of the hosts. */
export function mayFetch(url: URL, pageOrigin: string): boolean {
  if (url.origin === pageOrigin) return true;
  return allowedHosts.some(({ source }) => {
    const [, scheme, wildcard, host = ''] = /^(https):\/\/(\*\.)?(.+)$/.exec(source) ?? [];
    if (url.protocol !== `${scheme}:` || url.port !== '') return false;
    return wildcard ? url.hostname.endsWith(`.${host}`) : url.hostname === host;
  });
}
