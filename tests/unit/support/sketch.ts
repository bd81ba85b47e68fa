import { fnv1a32 } from '../../../src/random.ts';

/** What is kept of gradients too large to commit: tests/python/sketch.py says what it shows. */
const BUCKETS = 256;

/** murmur3's finaliser. */
function mixed(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

interface Summed {
  readonly norm: number;
  readonly projection: number;
}

/** Norm of one tensor, and its projection on a vector of ±1; its values are added to a sketch where one is given. */
export function summed(name: string, values: ArrayLike<number>, scale: number, sketch?: Float64Array): Summed {
  const start = fnv1a32(name);
  let squares = 0;
  let projection = 0;
  for (let i = 0; i < values.length; i++) {
    const h = mixed((start + i) | 0);
    const value = scale * values[i]!;
    const signed = h >>> 31 ? value : -value;
    squares += value * value;
    projection += signed;
    if (sketch) sketch[h % BUCKETS]! += signed;
  }
  return { norm: Math.sqrt(squares), projection };
}

export interface Sketched {
  /** By bucket, over all tensors: the distance of two is the distance of what they are made of. */
  readonly sketch: Float64Array;
  /** Of all values together. */
  readonly norm: number;
  readonly tensors: ReadonlyMap<string, Summed>;
}

export function sketched(tensors: Iterable<readonly [string, ArrayLike<number>]>, scale: number): Sketched {
  const sketch = new Float64Array(BUCKETS);
  const each = new Map<string, Summed>();
  let squares = 0;
  for (const [name, values] of tensors) {
    const one = summed(name, values, scale, sketch);
    each.set(name, one);
    squares += one.norm ** 2;
  }
  return { sketch, norm: Math.sqrt(squares), tensors: each };
}
