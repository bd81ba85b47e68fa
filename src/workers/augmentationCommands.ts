import { NoSuchDatasetError } from '../dataset/errors.ts';
import { evaluationSource } from '../dataset/evaluationSource.ts';
import { thumbnail } from '../dataset/geometry.ts';
import { imageSource } from '../dataset/imageSource.ts';
import { splitWith } from '../dataset/members.ts';
import type { Dataset, DatasetStore, ImageDecoder, ImageSource, Members, RgbImage } from '../dataset/types.ts';
import { augmentedPixels } from '../engine/augmentation.ts';
import { augmentationDraw, drawAugmentation } from '../training/augmentation.ts';
import type { Handlers } from './endpoint.ts';
import type { AugmentedImage, DatasetCommands } from './protocol.ts';

/** What the platform gives to look at augmentation. */
export interface AugmentationPlatform {
  readonly store: DatasetStore;
  /** A checked one. */
  readonly decoder: ImageDecoder;
  /** What the model in a weights file was trained, picked and tested with; null where the file doesn't say. */
  membersOf(weightsId: string): Promise<Members | null>;
}

export type AugmentationCommands = Pick<Handlers<DatasetCommands>, 'previewAugmentation'>;
type Wanted = DatasetCommands['previewAugmentation']['payload'];

interface Viewed {
  readonly key: string;
  /** Training images in the order in which they are shown. */
  readonly order: readonly number[];
  /** As a run reads them for training. */
  readonly learnt: ImageSource;
  /** As evaluation sees them. */
  readonly judged: ImageSource;
}

/** A few images are looked at, again with each change of a setting: this much of either kind stays at hand. */
const KEPT_BYTES = 32 * 2 ** 20;
/** … and goes when nothing was asked for so long, ms: the preview is closed, or the data set is gone. */
const KEPT_FOR = 60_000;

/** What a run would make of its training images. Val and Test stay out of it: the split is the one that `start` makes. */
export function augmentationCommands({ store, decoder, membersOf }: AugmentationPlatform): AugmentationCommands {
  let viewed: Viewed | null = null;
  let letGo: ReturnType<typeof setTimeout> | undefined;

  const view = async ({ id, config: { data }, weightsId }: Wanted): Promise<Viewed> => {
    // Each time: it may have been deleted in another tab.
    const dataset = await store.read(id);
    if (dataset === undefined) {
      viewed = null;
      throw new NoSuchDatasetError(id);
    }
    clearTimeout(letGo);
    letGo = setTimeout(() => (viewed = null), KEPT_FOR);
    const key = JSON.stringify([id, data, weightsId]);
    if (viewed?.key === key) return viewed;
    const { train } = splitWith(dataset, data, weightsId === null ? null : await membersOf(weightsId));
    viewed = {
      key,
      order: classByClass(dataset, train),
      learnt: imageSource(store, dataset, { cacheBytes: KEPT_BYTES }),
      judged: evaluationSource(store, dataset, decoder, data, KEPT_BYTES),
    };
    return viewed;
  };

  return {
    previewAugmentation: async (wanted) => {
      const { from, count, epochs, side } = wanted;
      const { data, training } = wanted.config;
      const { seed, augmentation } = training;
      const size = data.img_size;
      const picture = (rgb: ArrayLike<number>): RgbImage => thumbnail(rounded(size, rgb), side);
      const { order, learnt, judged } = await view(wanted);
      const tilesOf = async (index: number): Promise<readonly RgbImage[] | null> => {
        const [images, crops] = await Promise.all([learnt.read([index]), judged.read([index])]).catch(() => [[], []]);
        const [image, crop] = [images[0], crops[0]];
        if (image === undefined || crop === undefined || isCut(image)) return null;
        const varied = epochs.map((epoch) => {
          // As the trainer: without augmentation it learns from what evaluation sees.
          if (!augmentation.enabled) return picture(crop.data);
          const drawn = drawAugmentation(image, size, augmentation, augmentationDraw(seed, epoch, index));
          return picture(augmentedPixels(image, size, drawn));
        });
        return [picture(crop.data), ...varied];
      };
      const images: AugmentedImage[] = [];
      for (let i = 0; i < Math.min(count, order.length); i++) {
        const index = order[(from + i) % order.length] as number;
        images.push({ index, tiles: await tilesOf(index) });
      }
      return { images, of: order.length };
    },
  };
}

/** One of each class, then the next of each: neighbours in this order differ. */
function classByClass({ images, classes }: Dataset, indices: readonly number[]): number[] {
  const members: number[][] = classes.map(() => []);
  for (const index of indices) members[images[index]?.label ?? -1]?.push(index);
  const rounds = Math.max(0, ...members.map(({ length }) => length));
  return Array.from({ length: rounds }, (_, round) => members.flatMap((all) => all[round] ?? [])).flat();
}

/** Its shard ends before it does. */
function isCut({ width, height, data }: RgbImage): boolean {
  return data.length !== width * height * 3;
}

/** 0–255, rounded; a copy, as a view would drag a whole shard across to the page. */
function rounded(size: number, rgb: ArrayLike<number>): RgbImage {
  return { width: size, height: size, data: new Uint8Array(new Uint8ClampedArray(rgb).buffer) };
}
