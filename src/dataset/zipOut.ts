import { BlobWriter, configure, Uint8ArrayReader, ZipWriter } from '@zip.js/zip.js';
import { findLayout } from './layout.ts';
import { canonicalPaths } from './paths.ts';
import type { Dataset, DatasetStore } from './types.ts';

// As in archive.ts: this runs in a worker already.
configure({ useWebWorkers: false });

/** MS-DOS's first day, in the fields that zips hold: the same data set gives the same archive. */
const DATE = new Date(1980, 0, 1);

/**
 * All originals as one zip, stored, under the paths that they came with, so that it is imported as the same data set: hash, classes,
 * splits. One shard is in memory at a time; the rest is the browser's blob storage.
 */
export async function datasetZip(store: DatasetStore, dataset: Dataset): Promise<Blob> {
  const zip = new ZipWriter(new BlobWriter('application/zip'), {
    level: 0,
    lastModDate: DATE,
    extendedTimestamp: false,
    // Sizes before the bytes, not after: readers that stream cannot find the end of a stored file otherwise.
    dataDescriptor: false,
    keepOrder: true,
  });
  const paths = zipPaths(dataset);
  const inStorage = dataset.images
    .map((image, i) => ({ ...image, path: paths[i] as string }))
    .sort((a, b) => a.shard - b.shard || a.originalOffset - b.originalOffset);
  let loaded = -1;
  let bytes = new Uint8Array() as Uint8Array;
  for (const { path, shard, originalOffset, fileBytes } of inStorage) {
    if (loaded !== shard) [loaded, bytes] = [shard, await store.readOriginals(dataset.id, shard)];
    await zip.add(path, new Uint8ArrayReader(bytes.subarray(originalOffset, originalOffset + fileBytes)));
  }
  return zip.close();
}

/**
 * The paths as they came; where those would be read differently now (a zip may hold a path twice; the files that were skipped
 * may have told where the data set lies), plain ones: then classes and splits stay, and the hash does not.
 */
function zipPaths({ images, classes }: Dataset): string[] {
  const paths = images.map(({ path }) => path);
  const { placed } = findLayout(paths);
  const same =
    new Set(paths).size === paths.length &&
    placed.length === paths.length &&
    placed.every(({ index, className, given }) => {
      const image = images[index];
      return image !== undefined && classes[image.label] === className && image.given === given;
    });
  if (same) return paths;
  return canonicalPaths(images.map(({ path, label, given }) => ({ path, className: classes[label] as string, given })));
}
