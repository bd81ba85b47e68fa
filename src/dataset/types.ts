/** A data set as plain data: what was found, where each image's bytes lie, what could not be read. */
export type Split = 'train' | 'val' | 'test';

/**
 * Which images a model was trained, picked and tested with, by content: the first 16 hex digits of each file's SHA-256, sorted.
 * Carried by runs, checkpoints and versions, so that an image keeps its split when the data set grows.
 */
export type Members = Readonly<Record<Split, readonly string[]>>;

/** uint8 RGB, `[height, width, 3]`, orientation applied, no colour conversion, no premultiplied alpha. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export interface ImageEntry {
  /** Path in the archive or folder, as found, `/`-separated. */
  readonly path: string;
  /** Index into `Dataset.classes`. */
  readonly label: number;
  /** The split that the layout gives (`Train/`, `Val/`, `Test/`); null in a flat layout. */
  readonly given: Split | null;
  /** SHA-256 of the original file's bytes, lower-case hex. */
  readonly hash: string;
  /** Original size in pixels, after orientation. */
  readonly width: number;
  readonly height: number;
  /** Size of the uncropped cache in pixels. */
  readonly cacheWidth: number;
  readonly cacheHeight: number;
  /** Bytes of the original file. */
  readonly fileBytes: number;
  /** Which shard holds it, and where in it (bytes). A shard stores originals and caches in two records. */
  readonly shard: number;
  readonly cacheOffset: number;
  readonly originalOffset: number;
}

export interface SkippedFile {
  readonly path: string;
  /** `corrupt image`, `not an image`, `unsafe path`, `class only in Test`, … in the user's words. */
  readonly reason: string;
}

export interface Dataset {
  readonly schema: 1;
  readonly id: string;
  /** The archive's or folder's name without extension. */
  readonly name: string;
  readonly source: 'zip' | 'folder' | 'sample';
  readonly synthetic: boolean;
  readonly layout: 'splits' | 'flat';
  /** In code-point order, as torchvision's ImageFolder. */
  readonly classes: readonly string[];
  readonly images: readonly ImageEntry[];
  readonly skipped: readonly SkippedFile[];
  readonly warnings: readonly string[];
  /** Short side of the uncropped cache, pixels: ceil(1.15 × data.img_size) at import; smaller originals are not enlarged. */
  readonly cacheShortSide: number;
  /** SHA-256 over sorted `class/path/hash` lines, hex: the data set's identity in checkpoints and exports. */
  readonly hash: string;
  /** ms since the epoch. */
  readonly createdAt: number;
  /** Names of what was added to it, oldest first; absent where nothing was. */
  readonly additions?: readonly string[];
  /** Bytes that it takes in storage. */
  readonly storedBytes: number;
}

/** What came of adding files to a data set. */
export interface AddedImages {
  /** A new one; the old one stays. */
  readonly dataset: Dataset;
  readonly added: number;
  /** Files that were in the old data set already, byte for byte. */
  readonly duplicates: number;
  /** Files that came twice in what was added; the first of them was taken. */
  readonly doubled: number;
  /** In code-point order. */
  readonly newClasses: readonly string[];
}

/** Handed in by the roots: `platform/browser` and `platform/node` implement it. Throws `UnreadableImageError`. */
export interface ImageDecoder {
  decode(file: Uint8Array): Promise<RgbImage>;
}

/** Where data sets are kept. Implemented on IndexedDB by `platform/browser`, in memory or on disk by `platform/node`. */
export interface DatasetStore {
  list(): Promise<Dataset[]>;
  read(id: string): Promise<Dataset | undefined>;
  /** Shards come first, the data set's record last: what has no record was never finished and is swept. */
  writeShard(id: string, shard: number, caches: Uint8Array, originals: Uint8Array): Promise<void>;
  readCaches(id: string, shard: number): Promise<Uint8Array>;
  readOriginals(id: string, shard: number): Promise<Uint8Array>;
  write(dataset: Dataset): Promise<void>;
  delete(id: string): Promise<void>;
}

/** How training and evaluation read pixels: uncropped caches (`imageSource`), or what evaluation sees (`evaluationSource`). */
export interface ImageSource {
  /** In the order asked for. `between`: awaited after each image that took long; may wait, may throw. */
  read(indices: readonly number[], between?: () => Promise<void>): Promise<RgbImage[]>;
}
