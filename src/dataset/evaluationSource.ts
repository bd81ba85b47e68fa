import { turn } from '../turn.ts';
import { StoredImageError, UnreadableImageError } from './errors.ts';
import { evaluationCrop } from './geometry.ts';
import { entryOf } from './imageSource.ts';
import { sniff } from './imageType.ts';
import { inOrder } from './inOrder.ts';
import type { DataSettings } from './settings.ts';
import { shardMemory, shardSizes } from './shardMemory.ts';
import type { Dataset, DatasetStore, ImageDecoder, ImageSource, RgbImage } from './types.ts';

/** Crops that stay in memory: 1,783 of 224 × 224 pixels. */
const KEPT_BYTES = 256 * 2 ** 20;
/** Originals that stay in memory: neighbours lie in one shard, and shards have about 4 MiB. */
const ORIGINAL_BYTES = 32 * 2 ** 20;

/** Larger ones are decoded one at a time: four photographs of 12 megapixels would take 200 MB at once. */
const LARGE_PIXELS = 4e6;

/**
 * What the network sees in eval mode, `[img_size, img_size, 3]`: each original decoded and, in one go, resized and cropped, as torchvision's
 * test transform and the phone do it, and as Try does it. (The uncropped caches were resized once already.) Crops are kept, as a run asks for the
 * validation split after every epoch: the first ones for good, up to `keptBytes`; what is beyond is decoded again each time.
 *
 * Decoding a PNG and making a crop hold the thread; no two of them happen in one turn of the event loop, so that commands are heard
 * between. PNGs and large images are decoded one at a time. What cannot be decoded is tried once more, alone: a browser's decoder
 * also fails for want of memory. Throws `StoredImageError`, and what the store throws.
 */
export function evaluationSource(
  store: DatasetStore,
  dataset: Dataset,
  /** A checked one. */
  decoder: ImageDecoder,
  { img_size: size, geometry, num_workers }: Pick<DataSettings, 'img_size' | 'geometry' | 'num_workers'>,
  keptBytes = KEPT_BYTES,
  /** Images that are read again and again: memory is set aside for them, and others stay in what they leave. */
  often: readonly number[] = [],
): ImageSource {
  const room = Math.floor(keptBytes / (size * size * 3));
  const setAside = new Set(often);
  const roomOfOthers = room - Math.min(room, setAside.size);
  let othersKept = 0;
  const kept = new Map<number, RgbImage>();
  const keeps = (index: number): boolean => {
    if (kept.has(index)) return true;
    if (setAside.has(index)) return kept.size - othersKept < room - roomOfOthers;
    if (othersKept >= roomOfOthers) return false;
    othersKept += 1;
    return true;
  };
  const shardOf = shardMemory(
    (shard) => store.readOriginals(dataset.id, shard),
    shardSizes(dataset.images, ({ fileBytes }) => fileBytes),
    ORIGINAL_BYTES,
  );
  const oneLarge = oneAtATime();
  const onePiece = oneAtATime();

  const decoded = async (file: Uint8Array, holdsThread: boolean): Promise<RgbImage> => {
    if (holdsThread) return onePiece(() => turn().then(() => decoder.decode(file)));
    await turn();
    return decoder.decode(file);
  };
  /** `over`: nobody waits for it any more. */
  const cropOf = async (index: number, over: AbortSignal): Promise<RgbImage> => {
    const { shard, originalOffset, fileBytes, width, height } = entryOf(dataset, index);
    const originals = await shardOf(shard);
    const file = originals.subarray(originalOffset, originalOffset + fileBytes);
    const isPng = sniff(file).type === 'png';
    const make = async (): Promise<RgbImage> => {
      over.throwIfAborted();
      const image = await decoded(file, isPng);
      return onePiece(() => turn().then(() => evaluationCrop(image, size, geometry)));
    };
    return isPng || width * height > LARGE_PIXELS ? oneLarge(make) : make();
  };
  return {
    read: async (indices, between = turn) => {
      const made = new Map<number, RgbImage>();
      const put = async (index: number, crop: RgbImage): Promise<void> => {
        (keeps(index) ? kept : made).set(index, crop);
        await between();
      };
      const missing = [...new Set(indices)].filter((index) => !kept.has(index));
      const over = new AbortController();
      const failed: number[] = [];
      const tried = (index: number): Promise<RgbImage | null> =>
        cropOf(index, over.signal).catch((error: unknown) => {
          if (error instanceof UnreadableImageError || error instanceof RangeError) return null;
          throw error;
        });
      try {
        for await (const { item, result } of inOrder(missing, num_workers, tried)) {
          if (result === null) failed.push(item);
          else await put(item, result);
        }
        for (const index of failed) await put(index, await named(index, cropOf(index, over.signal)));
      } finally {
        over.abort();
      }
      return indices.map((index) => (kept.get(index) ?? made.get(index)) as RgbImage);
    },
  };

  async function named(index: number, crop: Promise<RgbImage>): Promise<RgbImage> {
    try {
      return await crop;
    } catch (error) {
      if (error instanceof UnreadableImageError)
        throw new StoredImageError(entryOf(dataset, index).path, error.reason, error);
      throw error;
    }
  }
}

/** Works follow one another, in the order they were handed in. */
function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  };
}
