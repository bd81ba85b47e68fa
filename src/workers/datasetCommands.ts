import JSZip from 'jszip';
import { addFiles } from '../dataset/add.ts';
import { ImportUnderWayError, NoSuchDatasetError } from '../dataset/errors.ts';
import { thumbnail } from '../dataset/geometry.ts';
import { imageSource } from '../dataset/imageSource.ts';
import { importFiles, importSample, type ImportOptions } from '../dataset/import.ts';
import { sniff } from '../dataset/imageType.ts';
import { drawSample } from '../dataset/sample/drawSample.ts';
import { findSample } from '../dataset/sample/findSample.ts';
import type { Dataset, DatasetStore, ImageDecoder } from '../dataset/types.ts';
import { datasetZip } from '../dataset/zipOut.ts';
import type { FeatureStore } from '../training/types.ts';
import type { AugmentationCommands } from './augmentationCommands.ts';
import type { DownloadCommands } from './downloadCommands.ts';
import type { Handlers } from './endpoint.ts';
import type { DatasetCommands, DatasetEvent } from './protocol.ts';

/** What the platform gives to the dataset worker. */
export interface DatasetPlatform {
  readonly store: DatasetStore;
  /** Goes with the data sets that it is of; null: nothing is kept. */
  readonly features: Pick<FeatureStore, 'delete' | 'storedBytes'> | null;
  /** A checked one. */
  readonly decoder: ImageDecoder;
  /** Runs the import while no sweep can take its shards for lost ones. */
  importing<T>(work: () => Promise<T>): Promise<T>;
}

/** Thumbnails come in pages from one data set: this much keeps their shards at hand. */
const THUMBNAIL_BYTES = 64 * 2 ** 20;

export function datasetCommands(
  platform: DatasetPlatform,
  emit: (event: DatasetEvent) => void,
): Omit<
  Handlers<DatasetCommands>,
  keyof DownloadCommands | keyof AugmentationCommands | 'storedByNewer' | 'holdsModel'
> {
  const { store, decoder, features } = platform;
  let underWay: AbortController | null = null;
  let viewed: { id: string; source: ReturnType<typeof imageSource> } | null = null;

  const find = async (id: string): Promise<Dataset> => {
    const dataset = await store.read(id);
    if (dataset === undefined) throw new NoSuchDatasetError(id);
    return dataset;
  };

  const run = async <T>(
    imgSize: number,
    decoders: number,
    work: (options: ImportOptions) => Promise<T>,
  ): Promise<T> => {
    if (underWay !== null) throw new ImportUnderWayError();
    const controller = new AbortController();
    underWay = controller;
    try {
      const onProgress: ImportOptions['onProgress'] = (progress) => emit({ type: 'importProgress', ...progress });
      const { signal } = controller;
      return await platform.importing(() => work({ store, decoder, imgSize, decoders, signal, onProgress }));
    } finally {
      underWay = null;
    }
  };

  return {
    importFiles: ({ files, name, source, imgSize, decoders, minClasses = 2 }) =>
      run(imgSize, decoders, (options) => importFiles({ files, name, source }, { ...options, minClasses })),
    importSample: ({ sample, imgSize }) => run(imgSize, 1, (options) => importSample(sample, options)),
    addFiles: ({ id, files, name, source, imgSize, decoders, split, members }) =>
      run(imgSize, decoders, async (options) =>
        addFiles({ files, name, source }, { dataset: await find(id), split, members }, options),
      ),
    datasetZip: async ({ id }) => datasetZip(store, await find(id)),
    cancelImport: () => {
      underWay?.abort();
      return null;
    },
    list: () => store.list(),
    delete: async ({ id }) => {
      const dataset = await store.read(id);
      await store.delete(id);
      if (dataset !== undefined) await features?.delete(dataset.hash);
      if (viewed?.id === id) viewed = null;
      return null;
    },
    features: async () => (await features?.storedBytes()) ?? 0,
    deleteFeatures: async () => {
      await features?.delete(null);
      return null;
    },
    thumbnails: async ({ id, indices, side }) => {
      if (viewed?.id !== id) {
        viewed = { id, source: imageSource(store, await find(id), { cacheBytes: THUMBNAIL_BYTES }) };
      }
      const images = await viewed.source.read(indices);
      return images.map((image) => {
        const { width, height, data } = thumbnail(image, side);
        // A view into its shard would drag the whole shard across to the page.
        return { width, height, data: data.slice() };
      });
    },
    original: async ({ id, index }) => {
      const image = (await find(id)).images[index];
      if (image === undefined) throw new NoSuchDatasetError(`${id}, image ${index},`);
      const shard = await store.readOriginals(id, image.shard);
      const file = shard.slice(image.originalOffset, image.originalOffset + image.fileBytes);
      const { type } = sniff(file);
      return new Blob([file], type === null ? {} : { type: `image/${type}` });
    },
    sampleZip: async ({ sample }) => {
      const zip = new JSZip();
      // A fixed date: the same settings give the same archive. PNG is compressed already.
      const date = new Date(Date.UTC(2026, 0, 1));
      for (const { path, png } of drawSample(sample)) zip.file(path, png, { date, createFolders: false });
      return zip.generateAsync({ type: 'blob', compression: 'STORE', mimeType: 'application/zip' });
    },
    findSample: async ({ sample }) => findSample(await store.list(), sample)?.id ?? null,
  };
}
