import type { Archive } from './archive.ts';
import { auditImages } from './audit.ts';
import { ImportCancelledError, NoImagesError, OneClassError } from './errors.ts';
import { cacheShortSide } from './geometry.ts';
import { hashOf, newId, onlyInTest, summaryOf } from './identity.ts';
import { byCodePoint, findLayout } from './layout.ts';
import { openGiven, takeImages, type GivenFiles, type ImportOptions } from './reading.ts';
import { sampleImages } from './sample/drawSample.ts';
import type { SampleSettings } from './settings.ts';
import { shardWriter } from './shards.ts';
import type { Dataset, SkippedFile } from './types.ts';

export type { ImportOptions, ImportProgress } from './reading.ts';

/**
 * Imports one zip, or the files of a folder, into the store. Files that cannot be used are listed in the result; only where
 * nothing useful is left does it throw: the errors of `openArchive`, `NoImagesError`, `OneClassError`; `ImportCancelledError` once
 * `signal` is aborted; `StorageFullError`. After a throw nothing of the data set is left in the store.
 */
export async function importFiles(from: GivenFiles, options: ImportOptions): Promise<Dataset> {
  return importArchive({ ...(await openGiven(from)), source: from.source, stage: 'reading' }, options);
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

interface Origin {
  readonly archive: Archive;
  readonly name: string;
  readonly source: Dataset['source'];
  readonly stage: 'reading' | 'drawing';
}

async function importArchive({ archive, name, source, stage }: Origin, options: ImportOptions): Promise<Dataset> {
  const { store, signal, minClasses = 2 } = options;
  const createdAt = Date.now();
  const id = newId(createdAt, archive.files);
  const layout = findLayout(archive.files.map(({ path }) => path));
  const skipped: SkippedFile[] = [...archive.skipped, ...layout.skipped];
  const trained = new Set(
    layout.placed.filter(({ given }) => given === 'train' || given === null).map((p) => p.className),
  );
  const wanted = layout.placed.filter((file) => trained.has(file.className));
  const without = layout.placed.filter((file) => !trained.has(file.className));
  const short = cacheShortSide(options.imgSize);
  const shards = shardWriter(store, id);
  try {
    const taken = await takeImages({ archive, wanted, stage, cacheShortSide: short }, { shards, skipped }, options, {
      onTake: ({ className }) => {
        if (trained.size < minClasses) throw new OneClassError(name, className);
      },
    });
    const classes = [
      ...new Set(taken.filter(({ given }) => given !== 'val' && given !== 'test').map((t) => t.className)),
    ];
    if (classes.length === 0) throw new NoImagesError(name, summaryOf(skipped));
    if (classes.length < minClasses) throw new OneClassError(name, classes[0] as string);
    classes.sort(byCodePoint);
    const images = taken.flatMap(({ className, ...rest }) => {
      const label = classes.indexOf(className);
      return label < 0 ? [] : [{ ...rest, label }];
    });
    const orphans = [...taken, ...without].filter(({ className }) => !classes.includes(className));
    skipped.push(...orphans.map(({ path, className }) => onlyInTest(path, className)));
    const dataset: Dataset = {
      schema: 1,
      id,
      name,
      source,
      synthetic: source === 'sample',
      layout: layout.layout,
      classes,
      images,
      skipped,
      warnings: auditImages(
        classes,
        images,
        orphans.map(({ className }) => className),
      ),
      cacheShortSide: short,
      hash: hashOf(classes, images),
      createdAt,
      storedBytes: await shards.close(),
    };
    const total = wanted.length;
    options.onProgress?.({ stage: 'storing', done: total, total, secondsLeft: 0, skipped: skipped.length });
    if (signal.aborted) throw new ImportCancelledError();
    await store.write(dataset);
    return dataset;
  } catch (error) {
    await shards.abandon();
    throw error;
  }
}
