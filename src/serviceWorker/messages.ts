/** What the page asks of its service worker; each is answered on the port that comes with it. */
export type PageMessage =
  /** Fetches what is missing of the page's files; answered with `Stored` as it goes on, the last with `missing: 0` or `failure`. */
  | { readonly type: 'store' }
  /** To a newer one that waits: take over, unless other tabs still show the older page. Answered with `TakeOver`. */
  | { readonly type: 'takeOver' };

/** How much of the page works without a network. */
export interface Stored {
  readonly files: number;
  readonly missing: number;
  /** Why the rest could not be fetched; null while it is being fetched, and when all is there. */
  readonly failure: string | null;
}

export interface TakeOver {
  /** Other tabs that show the page; 0: it takes over. */
  readonly others: number;
}
