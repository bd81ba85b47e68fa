/** Where downloaded weights are kept between visits. platform/ implements it: IndexedDB in the browser, a folder in Node. */
export interface WeightCache {
  get(key: string): Promise<CachedWeights | undefined>;
  /** All or nothing. Throws `StorageFullError` where there is no room. */
  set(key: string, entry: CachedWeights): Promise<void>;
  /** Sorted. */
  keys(): Promise<string[]>;
  delete(key: string): Promise<void>;
}

export interface CachedWeights {
  /** Raised when the record's form changes; older ones are read or dropped by `loadPretrained`. */
  readonly schema: 1;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Of `bytes`, hexadecimal. Pins the file: a later download of the same key must have it. */
  readonly sha256: string;
  /** Where it came from. */
  readonly url: string;
  /** Milliseconds since 1970. */
  readonly savedAt: number;
}

export interface DownloadProgress {
  readonly url: string;
  readonly doneBytes: number;
  /** Null where the server doesn't say and the source doesn't know. */
  readonly totalBytes: number | null;
}
