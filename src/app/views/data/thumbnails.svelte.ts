import { SvelteMap } from 'svelte/reactivity';
import type { RgbImage } from '../../../workers/protocol.ts';
import { imageData } from '../../pixels.ts';

/** Pictures kept at most; 600 of 124 × 124 pixels are 37 MB. */
const KEPT = 600;
/** Read in one question, so that the first ones appear soon and a fast scroll is not answered with what has gone by. */
const CHUNK = 24;

/**
 * Reads thumbnails for the images in sight, a chunk at a time; what has scrolled out of sight before its turn is not read.
 * `read` answers in the order asked for, undefined on failure.
 */
export function thumbnailReader(read: (indices: number[], side: number) => Promise<RgbImage[] | undefined>) {
  const pictures = new SvelteMap<number, ImageData>();
  let wanted: readonly number[] = [];
  let side = 0;
  let reading = false;

  async function work(): Promise<void> {
    if (reading) return;
    reading = true;
    for (;;) {
      const missing = wanted.filter((index) => !pictures.has(index)).slice(0, CHUNK);
      if (missing.length === 0) break;
      const images = await read(missing, side);
      if (!images) break;
      images.forEach((image, i) => pictures.set(missing[i] ?? -1, imageData(image)));
      const inSight = new Set(wanted);
      for (const index of pictures.keys()) {
        if (pictures.size <= KEPT) break;
        if (!inSight.has(index)) pictures.delete(index);
      }
    }
    reading = false;
  }

  return {
    get: (index: number): ImageData | undefined => pictures.get(index),
    want(indices: readonly number[], pixels: number): void {
      wanted = indices;
      side = pixels;
      void work();
    },
  };
}
