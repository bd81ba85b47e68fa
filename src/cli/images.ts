import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import type { Dataset, DatasetStore } from '../dataset/types.ts';
import { datasetKey, diskDatasetStore, type DiskDatasetStore } from '../platform/node/diskDatasetStore.ts';
import { filesFromDisk, filesFromFolders, type FilesFromDisk } from '../platform/node/files.ts';
import { memoryDatasetStore } from '../platform/node/memoryDatasetStore.ts';
import { NoDataError } from './errors.ts';
import { projectRoot } from './root.ts';
import type { Session } from './session.ts';
import { count } from './words.ts';

/** Where images come from, for `readFlags`. */
export const imageFlags = {
  data: { type: 'string' },
  add: { type: 'string', multiple: true },
} as const;

export interface ImageFlags {
  readonly data?: string | undefined;
  readonly add?: readonly string[] | undefined;
}

/** Another command that is importing writes at least this often, ms. */
const ABANDONED = 10 * 60_000;

/** Decoded data sets that are kept for the next command, however long ago they were used. */
const KEPT = 4;
const WEEK = 7 * 24 * 3_600_000;

export interface Images {
  readonly store: DatasetStore;
  /** Imports what the flags and the configuration name; unchanged files are not decoded again. Throws as the import does, `NoDataError`. */
  load(session: Session): Promise<Dataset>;
}

/**
 * The images of `--data`, else of `data.source`, and those of each `--add`. Looks at once whether they are there. `say` gets a
 * line for the user.
 */
export async function imagesOf(flags: ImageFlags, config: Config, say: (line: string) => void): Promise<Images> {
  const { data } = config;
  const files =
    flags.data === undefined
      ? data.source === 'sample'
        ? null
        : await fromConfig(data, say)
      : await filesFromDisk(flags.data);
  const added = await Promise.all((flags.add ?? []).map(filesFromDisk));
  const disk = files === null ? null : diskDatasetStore(join(projectRoot(), '.cache', 'datasets'));
  return {
    store: disk ?? memoryDatasetStore(),
    load: async (session) => {
      await disk?.sweep({ abandoned: ABANDONED, keep: KEPT, unused: WEEK });
      const settings = { imgSize: data.img_size, decoders: data.num_workers };
      let dataset =
        files === null
          ? await session.dataset.importSample({ sample: data.sample, imgSize: data.img_size })
          : await cached(disk, [files], data.img_size, async () =>
              session.dataset.importFiles({ ...given(files), ...settings }),
            );
      for (const [i, more] of added.entries()) {
        const { id } = dataset;
        const split = { validation_split: data.validation_split, test_split: data.test_split, seed: data.seed };
        const merge = async () => {
          const result = await session.dataset.addFiles({ id, ...given(more), ...settings, split, members: null });
          const duplicates = result.duplicates === 0 ? '' : `, ${count(result.duplicates, 'image')} were there already`;
          const classes = result.newClasses.length === 0 ? '' : `; new: ${result.newClasses.join(', ')}`;
          say(`Added ${count(result.added, 'image')} of ${more.name}${duplicates}${classes}.`);
          return result.dataset;
        };
        const sources = files === null ? null : [files, ...added.slice(0, i + 1)];
        dataset = await cached(disk, sources, data.img_size, merge, JSON.stringify(split));
      }
      describe(dataset, say);
      return dataset;
    },
  };
}

async function fromConfig(data: Config['data'], say: (line: string) => void): Promise<FilesFromDisk> {
  const { train_dir, test_dir } = data;
  if (!(await isFolder(train_dir)))
    throw new NoDataError(`there is no folder ${train_dir} (data.train_dir)`, 'train on');
  const hasTest = await isFolder(test_dir);
  if (!hasTest) say(`There is no folder ${test_dir} (data.test_dir): Test images are drawn from ${train_dir}.`);
  return filesFromFolders(train_dir, hasTest ? test_dir : null);
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false;
}

function given({ files, name, source }: FilesFromDisk) {
  return { files, name, source };
}

/** What was decoded before, if the same files were. `more`: what else decides about the outcome. */
async function cached(
  store: DiskDatasetStore | null,
  sources: readonly FilesFromDisk[] | null,
  imgSize: number,
  make: () => Promise<Dataset>,
  more = '',
): Promise<Dataset> {
  if (store === null || sources === null) return make();
  const listing = sources.flatMap(({ listing, name }, i) =>
    listing.map((file) => ({ ...file, path: `${i} ${name} ${i === 0 ? '' : more} ${file.path}` })),
  );
  const key = datasetKey(listing, imgSize);
  const found = await store.findCached(key);
  if (found !== undefined) return found;
  const dataset = await make();
  await store.remember(key, dataset);
  return dataset;
}

function describe(dataset: Dataset, say: (line: string) => void): void {
  const { name, images, classes, skipped, warnings } = dataset;
  say(`Data: ${name}, ${count(images.length, 'image')} of ${count(classes.length, 'class', 'classes')}.`);
  const reasons = new Map<string, number>();
  for (const { reason } of skipped) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  for (const [reason, n] of reasons) say(`Left out ${count(n, 'file')}: ${reason}.`);
  for (const warning of warnings) say(`Warning: ${warning}`);
}
