import { checkedDecoder } from '../../../src/dataset/decoding.ts';
import { evaluationSource } from '../../../src/dataset/evaluationSource.ts';
import { evaluationCrop } from '../../../src/dataset/geometry.ts';
import type { Dataset, DatasetStore, ImageDecoder } from '../../../src/dataset/types.ts';

/** ms an image. */
export interface CropCost {
  readonly decode: readonly number[];
  readonly crop: readonly number[];
  /** As a pass over a split has it, four at a time. */
  readonly inPass: number;
}

const SIZE = 224;
const AT_ONCE = 4;

/** What it takes to make of a file what evaluation sees, `times` over; the first of each isn't counted. */
export async function cropCost(platform: ImageDecoder, file: Uint8Array, times: number): Promise<CropCost> {
  const decoder = checkedDecoder(platform);
  const decode: number[] = [];
  const crop: number[] = [];
  for (let i = 0; i <= times; i++) {
    const started = performance.now();
    const image = await decoder.decode(file);
    const decoded = performance.now();
    evaluationCrop(image, SIZE, 'center_crop');
    decode.push(decoded - started);
    crop.push(performance.now() - decoded);
  }
  const store = { readOriginals: () => Promise.resolve(file) } as unknown as DatasetStore;
  const entry = { path: 'a', shard: 0, originalOffset: 0, fileBytes: file.length };
  const dataset = { id: 'a', images: Array.from({ length: times }, () => entry) } as unknown as Dataset;
  const source = evaluationSource(store, dataset, decoder, {
    img_size: SIZE,
    geometry: 'center_crop',
    num_workers: AT_ONCE,
  });
  const started = performance.now();
  await source.read(dataset.images.map((_, i) => i));
  return { decode: decode.slice(1), crop: crop.slice(1), inPass: (performance.now() - started) / times };
}
