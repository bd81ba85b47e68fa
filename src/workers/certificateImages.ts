import { architectures } from '../architectures/index.ts';
import type { ArchitectureName } from '../architectures/settings.ts';
import { evaluationSource } from '../dataset/evaluationSource.ts';
import { findDataset } from '../dataset/identity.ts';
import { splitWith } from '../dataset/members.ts';
import type { Dataset, DatasetStore, ImageDecoder, Split } from '../dataset/types.ts';
import type { Network } from '../engine/types.ts';
import { softmax } from '../evaluation/metrics.ts';
import { normalisedBatch } from '../evaluation/pixels.ts';
import type { CertificateSettings } from '../parity/settings.ts';
import type { Certificate, CertificateImage } from '../parity/types.ts';
import { judgedAtOnce } from '../training/attempt.ts';
import type { Checkpoint } from '../training/types.ts';
import { turn } from '../turn.ts';
import { CertificateImagesMissingError, NoImagesOfItsClassesError } from './certifyingErrors.ts';

/** A trained model that answers: of `networkOf`. */
export interface TrainedNetwork {
  readonly checkpoint: Checkpoint;
  readonly network: Pick<Network, 'predict'>;
}

/** Where the data sets of this computer are. */
export interface ImagesAtHand {
  readonly datasets: DatasetStore;
  /** A checked one. */
  readonly decoder: ImageDecoder;
  /** Images that were named for it, be they the checkpoint's or others of its classes; absent: its own data set, wherever it lies by now. */
  readonly dataset?: Dataset;
}

/** How many images: those of the settings, so many of each class, or all of the split. */
export type HowMany = number | 'as set' | 'all';

/** Images, and what the trained network says of them. */
export interface TrainedAnswers {
  readonly images: readonly CertificateImage[];
  /** Their side, pixels. */
  readonly imageSize: number;
  readonly from: Certificate['imagesFrom'];
  /** How many it would be of the same split. */
  countOf(howMany: HowMany): number;
}

/** Images that nobody learnt from come first. */
const preferred = ['test', 'val', 'train'] as const satisfies readonly Split[];

/**
 * Which images of `indices` a certificate looks at: the same ones wherever and in whatever order the data set was imported, as they are
 * ordered by their content. One of each class before a second of any; where there are too few for that, which classes go without is
 * a matter of content, too. By class in the result.
 */
export function chosenImages(
  { images }: Pick<Dataset, 'images'>,
  indices: readonly number[],
  howMany: HowMany,
  settings: Pick<CertificateSettings, 'images_per_class' | 'max_images'>,
): number[] {
  const at = (index: number): Dataset['images'][number] => images[index] as Dataset['images'][number];
  const byContent = (a: number, b: number): number =>
    compare(at(a).hash, at(b).hash) || compare(at(a).path, at(b).path);
  const byClass = new Map<number, number[]>();
  const seen = new Set<string>();
  for (const index of indices.toSorted(byContent)) {
    const { label, hash } = at(index);
    // A copy says nothing new.
    if (howMany !== 'all' && seen.has(`${label} ${hash}`)) continue;
    seen.add(`${label} ${hash}`);
    const own = byClass.get(label);
    if (own === undefined) byClass.set(label, [index]);
    else own.push(index);
  }
  const each = howMany === 'all' ? Infinity : howMany === 'as set' ? settings.images_per_class : howMany;
  const most = howMany === 'as set' ? settings.max_images : Infinity;
  const rounds = Math.min(each, Math.max(0, ...[...byClass.values()].map(({ length }) => length)));
  const chosen: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const these = [...byClass.values()].flatMap((some) => some[round] ?? []).sort(byContent);
    chosen.push(...these.slice(0, most - chosen.length));
  }
  return chosen.sort((a, b) => at(a).label - at(b).label || byContent(a, b));
}

/**
 * The images of a certificate as evaluation sees them, and the trained network's probabilities for them: softmax(logits / temperature).
 * Test, or validation where there is no Test, or else what it was trained with. Those that the settings ask for are handed on as golden
 * images, and all where there are no more than `max_images`. Their pixels are read again when they are asked for. Throws `CertificateImagesMissingError`, `NoImagesOfItsClassesError`, what reading
 * images throws, and the reason of `signal`.
 */
export async function trainedAnswers(
  { checkpoint, network }: TrainedNetwork,
  { datasets, decoder, dataset: named }: ImagesAtHand,
  howMany: HowMany,
  settings: Pick<CertificateSettings, 'images_per_class' | 'max_images'>,
  signal?: AbortSignal,
): Promise<TrainedAnswers> {
  const { config, members = null, temperature = 1, batchnormBatch } = checkpoint;
  const { classes } = checkpoint.dataset;
  const dataset = named ?? (await findDataset(datasets, checkpoint.dataset));
  if (dataset === undefined) throw new CertificateImagesMissingError(checkpoint.dataset.name);
  const splits = splitWith(dataset, config.data, members);
  const known = (split: Split): number[] =>
    splits[split].filter((i) => classes.includes(dataset.classes[dataset.images[i]?.label ?? -1] ?? ''));
  const split = preferred.find((name) => known(name).length > 0);
  if (split === undefined) throw new NoImagesOfItsClassesError(dataset.name);
  const chosen = chosenImages(dataset, known(split), howMany, settings);

  const golden = new Set(
    chosen.length <= settings.max_images ? chosen : chosenImages(dataset, known(split), 'as set', settings),
  );

  const { mean, std } = architectures[checkpoint.architecture as ArchitectureName];
  const source = evaluationSource(datasets, dataset, decoder, config.data);
  const between = async (): Promise<void> => {
    signal?.throwIfAborted();
    await turn();
  };
  const batch = judgedAtOnce(config.data.batch_size, batchnormBatch);
  const images: CertificateImage[] = [];
  for (let from = 0; from < chosen.length; from += batch) {
    signal?.throwIfAborted();
    const some = chosen.slice(from, from + batch);
    const crops = await source.read(some, between);
    const logits = await network.predict(normalisedBatch(crops, config.data.img_size, { mean, std }));
    const probabilities = softmax(logits, classes.length, temperature);
    some.forEach((index, i) => {
      const { path, label } = dataset.images[index] as Dataset['images'][number];
      images.push({
        name: path,
        label: classes.indexOf(dataset.classes[label] ?? ''),
        trained: probabilities.slice(i * classes.length, (i + 1) * classes.length),
        pixels: async () => (await source.read([index], between))[0]!.data,
        golden: golden.has(index),
      });
    });
    await turn();
  }
  return {
    images,
    imageSize: config.data.img_size,
    from: { split, dataset: dataset.name, hash: dataset.hash },
    countOf: (wanted) => chosenImages(dataset, known(split), wanted, settings).length,
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
