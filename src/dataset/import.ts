import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { openArchive, isUnsafe, type Archive, type FoundFile } from './archive.ts';
import { auditImages } from './audit.ts';
import { ImportCancelledError, NoImagesError, OneClassError, UnreadableImageError } from './errors.ts';
import { cacheShortSide, cacheSize, resize } from './geometry.ts';
import { byCodePoint, findLayout, type Placed } from './layout.ts';
import { sampleImages } from './sample/drawSample.ts';
import type { SampleSettings } from './settings.ts';
import { shardWriter } from './shards.ts';
import type { Dataset, DatasetStore, ImageDecoder, ImageEntry, RgbImage, SkippedFile } from './types.ts';

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
  readonly onProgress?: (progress: ImportProgress) => void;
}

/**
 * Imports one zip, or the files of a folder, into the store. Files that cannot be used are listed in the result; only where
 * nothing useful is left does it throw: the errors of `openArchive`, `NoImagesError`, `OneClassError`; `ImportCancelledError` once
 * `signal` is aborted; `StorageFullError`. After a throw nothing of the data set is left in the store.
 */
export async function importFiles(
  from: { files: readonly { path: string; file: Blob }[]; name: string; source: 'zip' | 'folder' },
  options: ImportOptions,
): Promise<Dataset> {
  const { files, name, source } = from;
  let archive: Archive;
  if (source === 'zip') {
    const [first] = files;
    if (first === undefined) throw new NoImagesError(name, '');
    archive = await openArchive(first.file, first.path);
  } else {
    archive = folder(files);
  }
  return importArchive({ archive, name: withoutExtension(name, source), source, stage: 'reading' }, options);
}

/** Draws the synthetic data set into the store. */
export async function importSample(sample: SampleSettings, options: ImportOptions): Promise<Dataset> {
  const files = sampleImages(sample).map(({ path, draw }, i) => ({
    path,
    // All pictures take about as long.
    bytes: 1,
    read: async () => {
      // Drawing is long synchronous work: let a cancel in now and then.
      if (i % 8 === 0) await new Promise((resolve) => setTimeout(resolve));
      return draw();
    },
  }));
  const name = 'Sample radiographs (synthetic)';
  return importArchive({ archive: { files, skipped: [] }, name, source: 'sample', stage: 'drawing' }, options);
}

function folder(files: readonly { path: string; file: Blob }[]): Archive {
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

function withoutExtension(name: string, source: Dataset['source']): string {
  return source === 'zip' ? name.replace(/\.zip$/i, '') : name;
}

interface Origin {
  readonly archive: Archive;
  readonly name: string;
  readonly source: Dataset['source'];
  readonly stage: 'reading' | 'drawing';
}

/** Everything about an image but its label, which is known once all have been read. */
type Read = Omit<ImageEntry, 'label'> & { readonly className: string };

async function importArchive(origin: Origin, options: ImportOptions): Promise<Dataset> {
  const { archive, name } = origin;
  const { store, signal } = options;
  const createdAt = Date.now();
  const listing = archive.files.map(({ path, bytes }) => `${path}/${bytes}`).join('\n');
  const id = `${createdAt.toString(36)}-${bytesToHex(sha256(utf8ToBytes(`${createdAt}\n${listing}`))).slice(0, 12)}`;
  const layout = findLayout(archive.files.map(({ path }) => path));
  const skipped: SkippedFile[] = [...archive.skipped, ...layout.skipped];
  const trained = new Set(
    layout.placed.filter(({ given }) => given === 'train' || given === null).map((p) => p.className),
  );
  const wanted = layout.placed.filter((file) => trained.has(file.className));
  const without = layout.placed.filter((file) => !trained.has(file.className));
  const shards = shardWriter(store, id);
  try {
    const read: Read[] = [];
    const progress = progressOf(origin, wanted, options);
    for await (const { file, result } of inOrder(wanted, options.decoders, (file) =>
      readImage(file, archive, options),
    )) {
      if (signal.aborted) throw new ImportCancelledError();
      if ('reason' in result) {
        skipped.push({ path: file.path, reason: result.reason });
      } else {
        if (trained.size < 2) throw new OneClassError(name, file.className);
        const at = await shards.add(result.cache.data, result.original);
        const { path, className, given } = file;
        const { width, height, hash, original, cache } = result;
        const sizes = { width, height, cacheWidth: cache.width, cacheHeight: cache.height, fileBytes: original.length };
        read.push({ path, className, given, hash, ...sizes, ...at });
      }
      progress(file, skipped.length);
    }
    const classes = [
      ...new Set(read.filter(({ given }) => given !== 'val' && given !== 'test').map((r) => r.className)),
    ];
    if (classes.length === 0) throw new NoImagesError(name, summary(skipped));
    if (classes.length < 2) throw new OneClassError(name, classes[0] as string);
    classes.sort(byCodePoint);
    const images = read.flatMap(({ className, ...rest }) => {
      const label = classes.indexOf(className);
      if (label < 0)
        skipped.push({ path: rest.path, reason: `class only in Test: no image of “${className}” to train on` });
      return label < 0 ? [] : [{ ...rest, label }];
    });
    for (const { path, className } of without) {
      skipped.push({ path, reason: `class only in Test: no image of “${className}” to train on` });
    }
    const orphans = [...without.map((file) => file.className), ...read.map((r) => r.className)];
    const dataset: Dataset = {
      schema: 1,
      id,
      name,
      source: origin.source,
      synthetic: origin.source === 'sample',
      layout: layout.layout,
      classes,
      images,
      skipped,
      warnings: auditImages(
        classes,
        images,
        orphans.filter((className) => !classes.includes(className)),
      ),
      cacheShortSide: cacheShortSide(options.imgSize),
      hash: hashOf(classes, images),
      createdAt,
      storedBytes: await shards.close(),
    };
    options.onProgress?.({
      stage: 'storing',
      done: wanted.length,
      total: wanted.length,
      secondsLeft: 0,
      skipped: skipped.length,
    });
    if (signal.aborted) throw new ImportCancelledError();
    await store.write(dataset);
    return dataset;
  } catch (error) {
    await shards.abandon();
    throw error;
  }
}

type ReadResult =
  | { readonly reason: string }
  | {
      readonly width: number;
      readonly height: number;
      readonly hash: string;
      readonly original: Uint8Array;
      readonly cache: RgbImage;
    };

async function readImage(file: Placed, archive: Archive, options: ImportOptions): Promise<ReadResult> {
  let original: Uint8Array;
  try {
    original = await (archive.files[file.index] as FoundFile).read();
  } catch (error) {
    return { reason: `cannot be read (${error instanceof Error ? error.message : String(error)})` };
  }
  try {
    const image = await options.decoder.decode(original);
    const size = cacheSize(image, cacheShortSide(options.imgSize));
    const cache = resize(image, size.width, size.height);
    return { width: image.width, height: image.height, hash: bytesToHex(sha256(original)), original, cache };
  } catch (error) {
    if (error instanceof UnreadableImageError) return { reason: error.reason };
    throw error;
  }
}

/** Runs `work` on up to `width` items at a time and yields the results in the items' order. */
async function* inOrder<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<{ file: T; result: R }> {
  const running: { file: T; result: Promise<R> }[] = [];
  let next = 0;
  while (next < items.length || running.length > 0) {
    while (running.length < width && next < items.length) {
      const file = items[next++] as T;
      const result = work(file);
      // A failure is thrown when its turn comes, or is of no interest after an earlier one.
      result.catch(() => undefined);
      running.push({ file, result });
    }
    const { file, result } = running.shift() as (typeof running)[number];
    yield { file, result: await result };
  }
}

function progressOf(
  { archive, stage }: Origin,
  wanted: readonly Placed[],
  { onProgress }: ImportOptions,
): (file: Placed, skipped: number) => void {
  const bytesOf = (file: Placed): number => archive.files[file.index]?.bytes ?? 0;
  const totalBytes = wanted.reduce((sum, file) => sum + bytesOf(file), 0);
  const total = wanted.length;
  const started = performance.now();
  let done = 0;
  let doneBytes = 0;
  onProgress?.({ stage, done, total, secondsLeft: null, skipped: 0 });
  return (file, skipped) => {
    done += 1;
    doneBytes += bytesOf(file);
    const seconds = (performance.now() - started) / 1000;
    // The first second says little: caches warm up.
    const known = seconds > 1 && doneBytes > 0;
    const secondsLeft = known ? (seconds / doneBytes) * (totalBytes - doneBytes) : null;
    onProgress?.({ stage, done, total, secondsLeft, skipped });
  };
}

/** SHA-256 over the sorted lines `class/path/hash`, hex. */
function hashOf(classes: readonly string[], images: readonly ImageEntry[]): string {
  const lines = images.map(({ label, path, hash }) => `${classes[label]}/${path}/${hash}`).sort();
  return bytesToHex(sha256(utf8ToBytes(lines.join('\n'))));
}

/** `3 files: not an image. 1 file: corrupt image.` */
function summary(skipped: readonly SkippedFile[]): string {
  const counts = new Map<string, number>();
  for (const { reason } of skipped) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].map(([reason, n]) => `${n} ${n === 1 ? 'file' : 'files'}: ${reason}.`).join(' ');
}
