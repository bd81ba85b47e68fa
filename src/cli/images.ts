import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import type { Config } from '../config/schema.ts';
import { membersOf } from '../dataset/members.ts';
import type { SplitIndices } from '../dataset/split.ts';
import type { Dataset, DatasetStore, Members, Split } from '../dataset/types.ts';
import { datasetKey, diskDatasetStore, type DiskDatasetStore } from '../platform/node/diskDatasetStore.ts';
import { filesFromDisk, filesFromFolders, type FilesFromDisk } from '../platform/node/files.ts';
import { memoryDatasetStore } from '../platform/node/memoryDatasetStore.ts';
import { NoDataError } from './errors.ts';
import { cacheFor } from './root.ts';
import type { Session } from './session.ts';
import { count } from './words.ts';

/** Where images come from, for `readFlags`. */
export const imageFlags = {
  data: { type: 'string' },
  add: { type: 'string', multiple: true },
  'no-cache': { type: 'boolean' },
} as const;

export interface ImageFlags {
  readonly data?: string | undefined;
  readonly add?: readonly string[] | undefined;
  readonly 'no-cache'?: boolean | undefined;
}

/** What they are wanted for. To judge, images of one class will do. */
export type Purpose = 'train on' | 'judge';

/** Another command that is importing writes at least this often, ms. */
const ABANDONED = 10 * 60_000;

/** Decoded data sets that are kept for the next command, however long ago they were used. */
const KEPT = 4;
const WEEK = 7 * 24 * 3_600_000;

export interface Images {
  readonly store: DatasetStore;
  /** Whether any are added to others. */
  readonly grows: boolean;
  /**
   * Imports what the flags and the configuration name; unchanged files are not decoded again. `members`: the split that added images
   * join; null: as the configuration draws it. Throws as the import does.
   */
  load(session: Session, members?: Members | null): Promise<Dataset>;
}

/**
 * The images of `--data`, else of `data.source`, and those of each `--add`. Looks at once whether they are there. With `--no-cache` they are
 * decoded in memory. `say` gets a line for the user. Throws `NoDataError`, `NoCacheFolderError`.
 */
export async function imagesOf(
  flags: ImageFlags,
  config: Config,
  say: (line: string) => void,
  purpose: Purpose = 'train on',
): Promise<Images> {
  const { data } = config;
  const files =
    flags.data === undefined
      ? data.source === 'sample'
        ? null
        : await fromConfig(data, say, purpose)
      : await filesFromDisk(flags.data);
  const added = await Promise.all((flags.add ?? []).map(filesFromDisk));
  const cache = files === null || flags['no-cache'] ? null : cacheFor('datasets');
  const disk = cache === null ? null : diskDatasetStore(cache);
  const minClasses = purpose === 'judge' ? 1 : 2;
  return {
    store: disk ?? memoryDatasetStore(),
    grows: added.length > 0,
    load: async (session, known = null) => {
      await disk?.sweep({ abandoned: ABANDONED, keep: KEPT, unused: WEEK });
      const settings = { imgSize: data.img_size, decoders: data.num_workers };
      let dataset =
        files === null
          ? await session.dataset.importSample({ sample: data.sample, imgSize: data.img_size })
          : await cached(
              disk,
              [files],
              data.img_size,
              async () => session.dataset.importFiles({ ...given(files), ...settings, minClasses }),
              { minClasses },
            );
      for (const [i, more] of added.entries()) {
        const { id } = dataset;
        // Once images were added, the data set itself says where each belongs.
        const members = i === 0 ? known : membersOf(dataset, asGiven(dataset));
        const split = { validation_split: data.validation_split, test_split: data.test_split, seed: data.seed };
        const merge = async () => {
          const result = await session.dataset.addFiles({ id, ...given(more), ...settings, split, members });
          const duplicates = result.duplicates === 0 ? '' : `, ${count(result.duplicates, 'image')} were there already`;
          const classes = result.newClasses.length === 0 ? '' : `; new: ${result.newClasses.join(', ')}`;
          say(`Added ${count(result.added, 'image')} of ${more.name}${duplicates}${classes}.`);
          return result.dataset;
        };
        const sources = files === null ? null : [files, ...added.slice(0, i + 1)];
        dataset = await cached(disk, sources, data.img_size, merge, {
          more: JSON.stringify({ split, members: digest(members) }),
          minClasses,
        });
      }
      describe(dataset, say);
      if (cache !== null)
        say(`Decoded images are kept in ${cache} for the next time; npm run clear-cache removes them.`);
      return dataset;
    },
  };
}

function asGiven({ images }: Dataset): SplitIndices {
  const of = (split: Split): number[] => images.flatMap(({ given }, i) => (given === split ? [i] : []));
  return { train: of('train'), val: of('val'), test: of('test') };
}

/** Tens of thousands of names stand in each line of a key otherwise. */
const digest = (members: Members | null): string =>
  createHash('sha256').update(JSON.stringify(members)).digest('hex').slice(0, 16);

async function fromConfig(data: Config['data'], say: (line: string) => void, purpose: Purpose): Promise<FilesFromDisk> {
  const { train_dir, test_dir } = data;
  if (!(await isFolder(train_dir))) throw new NoDataError(`there is no folder ${train_dir} (data.train_dir)`, purpose);
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

/** What was decoded before, if the same files were. `more`: what else decides about the outcome; one with fewer classes is made anew. */
async function cached(
  store: DiskDatasetStore | null,
  sources: readonly FilesFromDisk[] | null,
  imgSize: number,
  make: () => Promise<Dataset>,
  { more = '', minClasses }: { more?: string; minClasses: number },
): Promise<Dataset> {
  if (store === null || sources === null) return make();
  const listing = sources.flatMap(({ listing, name }, i) =>
    listing.map((file) => ({ ...file, path: `${i} ${name} ${i === 0 ? '' : more} ${file.path}` })),
  );
  const key = datasetKey(listing, imgSize);
  const found = await store.findCached(key);
  if (found !== undefined && found.classes.length >= minClasses) return found;
  const dataset = await make();
  await store.remember(key, dataset);
  return dataset;
}

function describe(dataset: Dataset, say: (line: string) => void): void {
  const { name, images, classes, skipped, warnings, additions = [] } = dataset;
  const grown = additions.length === 0 ? '' : `, with what was added from ${additions.join(', ')}`;
  say(`Data: ${name}, ${count(images.length, 'image')} of ${count(classes.length, 'class', 'classes')}${grown}.`);
  const reasons = new Map<string, number>();
  for (const { reason } of skipped) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  for (const [reason, n] of reasons) say(`Left out ${count(n, 'file')}: ${reason}.`);
  for (const warning of warnings) say(`Warning: ${warning}`);
}
