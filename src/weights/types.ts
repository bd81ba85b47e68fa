import type { Tensor } from '../graph/types.ts';

/** What a file's bytes hold. */
export interface NamedTensors {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A weights file that is kept between visits: downloaded or imported. */
export interface WeightRecord {
  /** Raised when the record's form changes. */
  readonly schema: 1;
  /** `pretrained/densenet121`, `imported/<first 16 of the SHA-256>` */
  readonly key: string;
  /** As the user is shown it: a file's name, or the model's on the hub. */
  readonly name: string;
  readonly architecture: string;
  /** Where it was downloaded from; null for a file from this computer. */
  readonly url: string | null;
  /** Of the bytes, hexadecimal. Pins the file: a later download under the same key must have it. */
  readonly sha256: string;
  /** Whether a checksum known beforehand was met, or the one in the file's name; false means pinned at the first download. */
  readonly verified: boolean;
  /** Classes that its head tells apart; null where it has none. */
  readonly classes: number | null;
  /** What each row of its head stands for; null or absent (in older records) where the file doesn't say and nobody said. */
  readonly labels?: readonly string[] | null;
  readonly warnings: readonly string[];
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly savedAt: number;
}

/** Where weights files are kept. platform/ implements it: IndexedDB in the browser, a folder in Node. */
export interface WeightCache {
  /** By key, ascending, without the bytes. */
  list(): Promise<WeightRecord[]>;
  get(key: string): Promise<{ readonly record: WeightRecord; readonly bytes: Uint8Array<ArrayBuffer> } | undefined>;
  /** All or nothing; replaces what was under the key. Throws `StorageFullError` where there is no room. */
  set(record: WeightRecord, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  delete(key: string): Promise<void>;
}

export interface DownloadProgress {
  readonly url: string;
  readonly doneBytes: number;
  /** Null where the server doesn't say and the source doesn't know. */
  readonly totalBytes: number | null;
  /** Null until it can be told. */
  readonly secondsLeft: number | null;
  /** What broke and when it is tried again, for the user; null while bytes come. */
  readonly waiting: string | null;
}

/** What has arrived of a file, and of which file. */
export interface Part {
  chunks: Uint8Array[];
  done: number;
  /** Null where the server doesn't say. */
  total: number | null;
  etag: string | null;
  modified: string | null;
  /** False where it comes packed for the way: its bytes are counted otherwise there. */
  resumable: boolean;
  /** Connections that brought a piece of it. */
  pieces: number;
}
