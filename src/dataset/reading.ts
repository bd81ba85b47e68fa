import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { isUnsafe, openArchive, type Archive, type FoundFile } from './archive.ts';
import { ImportCancelledError, NoImagesError, UnreadableImageError } from './errors.ts';
import { cacheSize, resize } from './geometry.ts';
import { inOrder } from './inOrder.ts';
import type { Placed } from './layout.ts';
import type { ShardWriter } from './shards.ts';
import type { DatasetStore, ImageDecoder, ImageEntry, RgbImage, SkippedFile } from './types.ts';

export interface ImportProgress {
  readonly stage: 'reading' | 'drawing' | 'storing';
  /** Files. */
  readonly done: number;
  readonly total: number;
  /** null until it can be told. */
  readonly secondsLeft: number | null;
  readonly skipped: number;
}

export interface ImportOptions {
  readonly store: DatasetStore;
  /** One that looks at the bytes first (`checkedDecoder`). */
  readonly decoder: ImageDecoder;
  /** `data.img_size`, pixels: decides the size of the uncropped cache. */
  readonly imgSize: number;
  /** Images decoded at the same time. */
  readonly decoders: number;
  readonly signal: AbortSignal;
  /** Default 2, as a classifier needs; 1: images to judge. */
  readonly minClasses?: number;
  readonly onProgress?: (progress: ImportProgress) => void;
}

/** What a user hands in. A zip: one file. */
export interface GivenFiles {
  readonly files: readonly { readonly path: string; readonly file: Blob }[];
  readonly name: string;
  readonly source: 'zip' | 'folder';
}

/** Everything about an image but its label, which is known once all have been read. */
export type Taken = Omit<ImageEntry, 'label'> & { readonly className: string };

/** The zip's table of contents, or the folder's files, and the name without extension. */
export async function openGiven({ files, name, source }: GivenFiles): Promise<{ archive: Archive; name: string }> {
  if (source === 'folder') return { archive: folder(files), name };
  const [first] = files;
  if (first === undefined) throw new NoImagesError(name, '');
  return { archive: await openArchive(first.file, first.path), name: name.replace(/\.zip$/i, '') };
}

function folder(files: GivenFiles['files']): Archive {
  const found = files.map(({ path, file }) => ({
    path,
    bytes: file.size,
    read: async () => new Uint8Array(await file.arrayBuffer()),
  }));
  return {
    files: found.filter(({ path }) => !isUnsafe(path)),
    skipped: found.filter(({ path }) => isUnsafe(path)).map(({ path }) => ({ path, reason: 'unsafe path' })),
  };
}

/**
 * Reads, decodes and stores images; what cannot be used goes into `skipped`. `refuse`: the reason why an image with this hash
 * is not wanted, asked before it is decoded and again when its turn has come; `onTake` may throw to end it all. Throws
 * `ImportCancelledError` once the signal is aborted, and what the store throws.
 */
export async function takeImages(
  given: { archive: Archive; wanted: readonly Placed[]; stage: 'reading' | 'drawing'; cacheShortSide: number },
  into: { shards: ShardWriter; skipped: SkippedFile[] },
  options: ImportOptions,
  hooks: { refuse?: (file: Placed, hash: string) => string | null; onTake?: (file: Placed, hash: string) => void } = {},
): Promise<Taken[]> {
  const { archive, wanted, stage, cacheShortSide } = given;
  const { shards, skipped } = into;
  const bytesOf = (file: Placed): number => archive.files[file.index]?.bytes ?? 0;
  const taken: Taken[] = [];
  const progress = progressOf(stage, wanted.map(bytesOf), options);
  const refuse = hooks.refuse ?? (() => null);
  const read = async (file: Placed): Promise<ReadResult> => {
    let original: Uint8Array;
    try {
      original = await (archive.files[file.index] as FoundFile).read();
    } catch (error) {
      return { reason: `cannot be read (${error instanceof Error ? error.message : String(error)})` };
    }
    const hash = bytesToHex(sha256(original));
    const reason = refuse(file, hash);
    return reason === null ? { hash, ...(await decoded(original, cacheShortSide, options.decoder)) } : { reason };
  };
  for await (const { item: file, result } of inOrder(wanted, options.decoders, read)) {
    if (options.signal.aborted) throw new ImportCancelledError();
    const reason = 'reason' in result ? result.reason : refuse(file, result.hash);
    if ('reason' in result || reason !== null) {
      skipped.push({ path: file.path, reason: reason ?? '' });
    } else {
      hooks.onTake?.(file, result.hash);
      const at = await shards.add(result.cache.data, result.original);
      const { path, className, given } = file;
      const { width, height, hash, original, cache } = result;
      const sizes = { width, height, cacheWidth: cache.width, cacheHeight: cache.height, fileBytes: original.length };
      taken.push({ path, className, given, hash, ...sizes, ...at });
    }
    progress(skipped.length);
  }
  return taken;
}

type ReadResult = { readonly reason: string } | ({ readonly hash: string } & Decoded);

export interface Decoded {
  readonly width: number;
  readonly height: number;
  readonly original: Uint8Array;
  readonly cache: RgbImage;
}

/** The original's size and its uncropped cache, or why it cannot be read. */
export async function decoded(
  original: Uint8Array,
  cacheShortSide: number,
  decoder: ImageDecoder,
): Promise<Decoded | { readonly reason: string }> {
  try {
    const image = await decoder.decode(original);
    const size = cacheSize(image, cacheShortSide);
    return { width: image.width, height: image.height, original, cache: resize(image, size.width, size.height) };
  } catch (error) {
    if (error instanceof UnreadableImageError) return { reason: error.reason };
    throw error;
  }
}

/** Says at once that nothing is done; to be called after each item, in order, with the number skipped so far. `bytes`: of each item. */
export function progressOf(
  stage: ImportProgress['stage'],
  bytes: readonly number[],
  { onProgress }: Pick<ImportOptions, 'onProgress'>,
): (skipped: number) => void {
  const totalBytes = bytes.reduce((sum, n) => sum + n, 0);
  const total = bytes.length;
  const started = performance.now();
  let done = 0;
  let doneBytes = 0;
  onProgress?.({ stage, done, total, secondsLeft: null, skipped: 0 });
  return (skipped) => {
    doneBytes += bytes[done] ?? 0;
    done += 1;
    const seconds = (performance.now() - started) / 1000;
    // The first second says little: caches warm up.
    const known = seconds > 1 && doneBytes > 0;
    const secondsLeft = known ? (seconds / doneBytes) * (totalBytes - doneBytes) : null;
    onProgress?.({ stage, done, total, secondsLeft, skipped });
  };
}
