import { encode } from '../floatBytes.ts';

/** How a tensor's numbers lie in the files. TensorFlow.js makes float32 of them as it loads (tfjs-core/src/io/io_utils.ts, `decodeWeight`). */
export type Stored =
  | { readonly as: 'float32'; readonly values: Float32Array }
  /** Rounded to float16. */
  | { readonly as: 'float16'; readonly values: Float32Array }
  /** Whole numbers from −127 to 127. */
  | { readonly as: 'int8'; readonly values: Int8Array }
  | { readonly as: 'int32'; readonly values: Int32Array };

interface ManifestEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32';
  readonly quantization?:
    | { readonly dtype: 'float16'; readonly original_dtype: 'float32' }
    /** value = stored · scale + min */
    | { readonly dtype: 'uint8'; readonly scale: number; readonly min: number; readonly original_dtype: 'float32' };
}

/** `weightsManifest` of model.json: the tensors' bytes stand one after the other, without gaps, in the files in the order of `paths`. */
export interface WeightsGroup {
  readonly paths: readonly string[];
  readonly weights: readonly ManifestEntry[];
}

export interface WeightFiles {
  add(name: string, shape: readonly number[], stored: Stored): void;
  finish(): { readonly manifest: readonly WeightsGroup[]; readonly files: ReadonlyMap<string, Uint8Array> };
}

/** As TensorFlow.js' own converter cuts them: a size that browsers still cache. */
const shardBytes = 4 * 1024 * 1024;

export function weightFiles(): WeightFiles {
  const weights: ManifestEntry[] = [];
  const parts: Uint8Array[] = [];
  return {
    add(name, shape, stored) {
      const { bytes, ...how } = encoded(name, stored);
      weights.push({ name, shape, ...how });
      parts.push(bytes);
    },
    finish() {
      const all = joined(parts);
      const count = Math.ceil(all.length / shardBytes);
      const files = new Map<string, Uint8Array>();
      for (let i = 0; i < count; i++) {
        files.set(`group1-shard${i + 1}of${count}.bin`, all.subarray(i * shardBytes, (i + 1) * shardBytes));
      }
      return { manifest: [{ paths: [...files.keys()], weights }], files };
    },
  };
}

function encoded(
  name: string,
  stored: Stored,
): Pick<ManifestEntry, 'dtype' | 'quantization'> & { readonly bytes: Uint8Array } {
  switch (stored.as) {
    case 'int32':
      return { dtype: 'int32', bytes: new Uint8Array(stored.values.buffer) };
    case 'float32':
      return { dtype: 'float32', bytes: encode(name, stored.values, 'float32') };
    case 'float16':
      return {
        dtype: 'float32',
        quantization: { dtype: 'float16', original_dtype: 'float32' },
        bytes: encode(name, stored.values, 'float16'),
      };
    case 'int8':
      return {
        dtype: 'float32',
        quantization: { dtype: 'uint8', scale: 1, min: -127, original_dtype: 'float32' },
        bytes: shifted(stored.values),
      };
  }
}

function shifted(values: Int8Array): Uint8Array {
  const bytes = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) bytes[i] = (values[i] as number) + 127;
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    all.set(part, position);
    position += part.length;
  }
  return all;
}
