import { auditImages } from './audit.ts';
import { ImportCancelledError, NoImagesError, NothingNewError } from './errors.ts';
import { cacheShortSide } from './geometry.ts';
import { hashOf, newId, onlyInTest, summaryOf } from './identity.ts';
import { inOrder } from './inOrder.ts';
import { byCodePoint, findLayout } from './layout.ts';
import { splitOfEach, splitWith } from './members.ts';
import { canonicalPaths } from './paths.ts';
import {
  decoded,
  openGiven,
  progressOf,
  takeImages,
  type GivenFiles,
  type ImportOptions,
  type Taken,
} from './reading.ts';
import type { DataSettings } from './settings.ts';
import { shardWriter, type ShardWriter } from './shards.ts';
import { assignSplits } from './split.ts';
import type { AddedImages, Dataset, ImageEntry, Members, SkippedFile } from './types.ts';

/** What `skipped` says of a file whose bytes the old data set holds, and of one that an earlier file of the same addition has. */
const ALREADY = 'already in the data set';
const TWICE = 'twice in what was added';

const isCopy = ({ reason }: SkippedFile): boolean => reason.startsWith(ALREADY) || reason.startsWith(TWICE);

interface Onto {
  readonly dataset: Dataset;
  /** The split that its newest model really had; null: none was trained. */
  readonly members: Members | null;
  /** How images that `members` doesn't know are divided, and the new ones among themselves. */
  readonly split: Pick<DataSettings, 'validation_split' | 'test_split' | 'seed'>;
}

/**
 * A new data set: `onto.dataset`, which stays as it is, and what the files bring. Merged by class, so that one class alone may come,
 * or Test images alone of a class that is known; what is there byte for byte is not taken twice. Each old image keeps the split
 * that `onto.members` gives it, else `onto.split`; the new ones are divided among themselves, and both are written down as `given`,
 * with paths to match. `skipped` lists what this addition left out, and of former ones what was no copy.
 *
 * Throws as `importFiles`, but never `OneClassError`; `NothingNewError` where all images are there. After a throw nothing new is stored.
 */
export async function addFiles(from: GivenFiles, onto: Onto, options: ImportOptions): Promise<AddedImages> {
  const { dataset: old } = onto;
  const { archive, name } = await openGiven(from);
  const createdAt = Date.now();
  const id = newId(createdAt, archive.files);
  const layout = findLayout(
    archive.files.map(({ path }) => path),
    { trainNeeded: false },
  );
  const skipped: SkippedFile[] = [...archive.skipped, ...layout.skipped];
  const short = Math.max(old.cacheShortSide, cacheShortSide(options.imgSize));
  const known = new Map(old.images.map(({ hash, label }) => [hash, old.classes[label] as string]));
  const came = new Map<string, string>();
  const shards = shardWriter(options.store, id);
  try {
    const taken = await takeImages(
      { archive, wanted: layout.placed, stage: 'reading', cacheShortSide: short },
      { shards, skipped },
      options,
      {
        refuse: ({ className }, hash) => {
          const under = known.get(hash) ?? came.get(hash);
          if (under === undefined) return null;
          const reason = known.has(hash) ? ALREADY : TWICE;
          return under === className ? reason : `${reason}, under “${under}”`;
        },
        onTake: ({ className }, hash) => came.set(hash, className),
      },
    );
    const trained = taken.filter(({ given }) => given === 'train' || given === null).map((t) => t.className);
    const newClasses = [...new Set(trained)].filter((className) => !old.classes.includes(className)).sort(byCodePoint);
    const classes = [...old.classes, ...newClasses].sort(byCodePoint);
    const orphans = taken.filter(({ className }) => !classes.includes(className));
    const added = taken.filter(({ className }) => classes.includes(className));
    skipped.push(...orphans.map(({ path, className }) => onlyInTest(path, className)));
    const duplicates = skipped.filter(({ reason }) => reason.startsWith(ALREADY)).length;
    const doubled = skipped.filter(({ reason }) => reason.startsWith(TWICE)).length;
    if (added.length === 0 && duplicates === 0) throw new NoImagesError(name, summaryOf(skipped));
    if (added.length === 0) throw new NothingNewError(name, old.name, summaryOf(skipped));

    const kept = await copyImages(onto, short, { shards, skipped }, options);
    const labelled = added.map((image) => ({ ...image, label: classes.indexOf(image.className) }));
    const splits = splitOfEach(assignSplits({ images: labelled, classes }, onto.split));
    const divided = added.map((image, i) => ({ ...image, given: splits.get(i) ?? null }));
    const images = placed([...kept, ...divided], classes);
    const dataset: Dataset = {
      ...old,
      id,
      // Drawing the sample again would not give this one.
      source: old.source === 'sample' ? from.source : old.source,
      layout: 'splits',
      classes,
      images,
      skipped: [...old.skipped.filter((one) => !isCopy(one)), ...skipped],
      warnings: auditImages(
        classes,
        images,
        orphans.map(({ className }) => className),
      ),
      cacheShortSide: short,
      hash: hashOf(classes, images),
      createdAt,
      additions: [...(old.additions ?? []), name],
      storedBytes: await shards.close(),
    };
    if (options.signal.aborted) throw new ImportCancelledError();
    await options.store.write(dataset);
    return { dataset, added: added.length, duplicates, doubled, newClasses };
  } catch (error) {
    await shards.abandon();
    throw error;
  }
}

/** With paths to match their splits and classes, in the order in which an import of those paths would list them. */
function placed(taken: readonly Taken[], classes: readonly string[]): ImageEntry[] {
  const paths = canonicalPaths(taken);
  return taken
    .map(({ className, ...rest }, i) => ({ ...rest, path: paths[i] as string, label: classes.indexOf(className) }))
    .sort((a, b) => a.label - b.label || byCodePoint(a.path, b.path));
}

/**
 * Copies originals and caches, a shard at a time; caches that are too small for `short` are made anew from the originals. Images in
 * the data set's order, their splits written down.
 */
async function copyImages(
  { dataset: old, members, split }: Onto,
  short: number,
  into: { shards: ShardWriter; skipped: SkippedFile[] },
  options: ImportOptions,
): Promise<Taken[]> {
  const { store, decoder, decoders, signal } = options;
  const splits = splitOfEach(splitWith(old, split, members));
  const inStorage = old.images
    .map((image, index) => ({ image, index }))
    .sort((a, b) => a.image.shard - b.image.shard || a.image.cacheOffset - b.image.cacheOffset);
  const progress = progressOf(
    'storing',
    inStorage.map(({ image }) => image.fileBytes),
    options,
  );
  const copied: { index: number; taken: Taken }[] = [];
  for (const shard of new Set(inStorage.map(({ image }) => image.shard))) {
    const originals = await store.readOriginals(old.id, shard);
    const caches = old.cacheShortSide === short ? await store.readCaches(old.id, shard) : null;
    const own = inStorage.filter(({ image }) => image.shard === shard);
    for await (const { item, result } of inOrder(own, decoders, async ({ image }) => {
      const original = originals.subarray(image.originalOffset, image.originalOffset + image.fileBytes);
      if (caches === null) return decoded(original, short, decoder);
      const { cacheWidth: width, cacheHeight: height, cacheOffset } = image;
      const data = caches.subarray(cacheOffset, cacheOffset + width * height * 3);
      return { width: image.width, height: image.height, original, cache: { width, height, data } };
    })) {
      if (signal.aborted) throw new ImportCancelledError();
      const { label, path, hash } = item.image;
      if ('reason' in result) {
        into.skipped.push({ path, reason: result.reason });
      } else {
        const { width, height, original, cache } = result;
        const at = await into.shards.add(cache.data, original);
        const sizes = { width, height, cacheWidth: cache.width, cacheHeight: cache.height, fileBytes: original.length };
        const className = old.classes[label] as string;
        const given = splits.get(item.index) ?? null;
        copied.push({ index: item.index, taken: { path, className, given, hash, ...sizes, ...at } });
      }
      progress(into.skipped.length);
    }
  }
  return copied.sort((a, b) => a.index - b.index).map(({ taken }) => taken);
}
