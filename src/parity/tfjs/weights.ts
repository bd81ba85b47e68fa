import { z } from '../../zod.ts';
import { UnreadableModelError } from '../errors.ts';
import { fromHalves } from '../interpreter/float16.ts';
import { joined } from '../joined.ts';
import type { Pause } from '../pauses.ts';
import type { Tensor } from '../types.ts';

export interface StoredTensor extends Tensor {
  /** `float32` also for whole numbers, which are exact up to 2^24. */
  readonly stored: 'float32' | 'float16' | 'eightBit';
}

/** Of model.json: tfjs-core/src/io/types.ts, `WeightsManifestConfig`. */
export const weightsManifest = z.array(
  z.object({
    paths: z.array(z.string()),
    weights: z.array(
      z.strictObject({
        name: z.string(),
        shape: z.array(z.int().min(0)),
        dtype: z.string(),
        group: z.string().optional(),
        quantization: z
          .strictObject({
            dtype: z.string(),
            original_dtype: z.string().optional(),
            scale: z.number().optional(),
            min: z.number().optional(),
          })
          .optional(),
      }),
    ),
  }),
);
type WeightsManifest = z.infer<typeof weightsManifest>;
type Entry = WeightsManifest[number]['weights'][number];

/**
 * The tensors of a manifest, by name. Of each group the files are one stream of bytes in the order of `paths`, and its tensors stand there one
 * after the other without gaps, row-major, little-endian. Quantised ones are `stored · scale + min`, or float16: tfjs-core/src/io/io_utils.ts,
 * `decodeWeight`. Throws `UnreadableModelError`.
 */
export async function readWeights(
  manifest: WeightsManifest,
  read: (path: string) => Uint8Array,
  between?: Pause,
): Promise<ReadonlyMap<string, StoredTensor>> {
  const tensors = new Map<string, StoredTensor>();
  for (const { paths, weights } of manifest) {
    const bytes = await joined(paths.map(read), between);
    let position = 0;
    for (const entry of weights) {
      if (tensors.has(entry.name)) throw new UnreadableModelError(`Two tensors are named ${entry.name}.`);
      const size = entry.shape.reduce((product, extent) => product * extent, 1);
      const end = position + size * bytesPerNumber(entry);
      if (end > bytes.length) throw new UnreadableModelError(`The weight files end before the end of ${entry.name}.`);
      // A copy: typed arrays want aligned buffers.
      tensors.set(entry.name, decoded(entry, bytes.slice(position, end)));
      position = end;
      await between?.();
    }
    if (position !== bytes.length) {
      throw new UnreadableModelError(`${bytes.length - position} bytes at the end of the weight files are nobody’s.`);
    }
  }
  return tensors;
}

function kindOf({ name, dtype, quantization }: Entry): string {
  const kind = quantization?.dtype ?? dtype;
  const known = quantization ? ['float16', 'uint8', 'uint16'] : ['float32', 'int32', 'bool'];
  if (!known.includes(kind)) throw new UnreadableModelError(`${name} is stored as ${kind}, which isn’t known here.`);
  return kind;
}

function bytesPerNumber(entry: Entry): number {
  return { float32: 4, int32: 4, uint16: 2, float16: 2, uint8: 1, bool: 1 }[kindOf(entry)] as number;
}

function decoded(entry: Entry, { buffer }: Uint8Array<ArrayBuffer>): StoredTensor {
  const { name, shape, dtype, quantization } = entry;
  const tensor = (data: Float32Array, stored: StoredTensor['stored'] = 'float32') => ({ shape, data, stored });
  switch (kindOf(entry)) {
    case 'float32':
      return tensor(new Float32Array(buffer));
    case 'int32':
      return tensor(Float32Array.from(new Int32Array(buffer)));
    case 'bool':
      return tensor(Float32Array.from(new Uint8Array(buffer)));
    case 'float16':
      return tensor(fromHalves(new Uint16Array(buffer)), 'float16');
  }
  const { scale, min } = quantization ?? {};
  if (scale === undefined || min === undefined) throw new UnreadableModelError(`${name} has no scale or no minimum.`);
  const eightBit = quantization?.dtype === 'uint8';
  const steps = eightBit ? new Uint8Array(buffer) : new Uint16Array(buffer);
  const values = new Float32Array(steps.length);
  for (let i = 0; i < steps.length; i++) {
    const value = (steps[i] as number) * scale + min;
    values[i] = dtype === 'int32' ? Math.round(value) : value;
  }
  return tensor(values, eightBit ? 'eightBit' : 'float16');
}
