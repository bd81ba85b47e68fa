import { sha256 } from '@noble/hashes/sha2.js';
import type { ImageBatch, TrainingBatch } from '../engine/types.ts';
import { fromFloat16, toFloat16 } from '../weights/float16.ts';
import type { FeatureSet, FeatureStore } from './types.ts';

/** What a backbone gave for some images, kept as float16 and read as float32: the same bits whether just computed or found again. */
export interface Features {
  /** `[n, F]` in the order asked for; indices into the data set. */
  of(indices: readonly number[]): Float32Array;
}

/** A view whose features are wanted. */
export interface Wanted {
  /** Indices into the data set. */
  readonly images: readonly number[];
  /** Where they are kept; null: nowhere. */
  readonly set: FeatureSet | null;
  /** What the backbone is to see of some of them. */
  batchOf(some: readonly number[]): Promise<TrainingBatch | ImageBatch>;
}

export interface FeaturePass {
  readonly store: FeatureStore | null;
  readonly wanted: readonly Wanted[];
  /** F. */
  readonly width: number;
  /** Images that go through at once, always the same ones together. */
  readonly chunk: number;
  /** `[n, F]`. */
  compute(batch: TrainingBatch | ImageBatch): Promise<Float32Array>;
  /** Between chunks: lets commands in, waits while paused, may throw. */
  gate(): Promise<'go' | 'stop'>;
  /** Images whose features are known, of how many; seconds: until all are, null until that can be told. */
  progress(done: number, total: number, seconds: number | null): void;
}

export interface Computed {
  /** As `wanted`. */
  readonly features: readonly Features[];
  /** Seconds that an image took, by view; null where all of them were found. */
  readonly secondsEach: readonly (number | null)[];
}

/**
 * The features of all views: those that are stored, and for the rest one pass through the backbone. `stopped`: `gate` said so; what was
 * computed until then is stored. `unfit`: one of them is no float16 (beyond 65,504, or not a number). Throws as `compute`, `batchOf` and
 * `gate` do; a store that takes no more is left alone.
 */
export async function computeFeatures(pass: FeaturePass): Promise<Computed | 'stopped' | 'unfit'> {
  const { wanted, width, chunk } = pass;
  const total = wanted.reduce((sum, { images }) => sum + images.length, 0);
  let done = 0;
  let store = pass.store;
  const todo: { view: number; part: number; from: number; to: number }[] = [];
  const values = wanted.map(({ images }) => new Uint16Array(images.length * width));
  for (const [view, { images, set }] of wanted.entries()) {
    const found = store === null || set === null ? new Map<number, Uint8Array>() : await store.read(set).catch(nothing);
    for (let from = 0, part = 0; from < images.length; from += chunk, part++) {
      const to = Math.min(images.length, from + chunk);
      const halves = opened(found.get(part), (to - from) * width);
      if (halves === null) todo.push({ view, part, from, to });
      else {
        values[view]!.set(halves, from * width);
        done += to - from;
      }
    }
    if ((await pass.gate()) === 'stop') return 'stopped';
  }

  const spent = wanted.map(() => ({ seconds: 0, images: 0 }));
  /** Of what was computed, but for the first chunk, which compiles and warms up: what the rest will take. */
  const paced = { seconds: 0, images: 0 };
  let told = -Infinity;
  const tell = (): void => {
    if (done < total && performance.now() - told < TELL_EVERY) return;
    told = performance.now();
    const { seconds, images } = paced;
    pass.progress(done, total, done === total ? 0 : images === 0 ? null : ((total - done) * seconds) / images);
  };
  const read = ({ view, from, to }: (typeof todo)[number]) =>
    wanted[view]!.batchOf(wanted[view]!.images.slice(from, to));
  tell();
  let next = todo[0] && read(todo[0]);
  for (const [i, one] of todo.entries()) {
    const began = performance.now();
    let batch;
    try {
      batch = await next!;
    } catch (error) {
      // Reading ends early where nobody will wait for it.
      if ((await pass.gate()) === 'stop') return 'stopped';
      throw error;
    }
    const following = todo[i + 1];
    // Read while the backbone is at work; if that stops here, its failure is nobody's.
    next = following && read(following);
    next?.catch(nothing);
    const halves = toFloat16(await pass.compute(batch));
    if (!halves.every(isFinite16)) return 'unfit';
    values[one.view]!.set(halves, one.from * width);
    const { set } = wanted[one.view]!;
    if (store !== null && set !== null)
      await store.write(set, one.part, sealed(halves)).catch(() => {
        // No room: the run needs none of it.
        store = null;
      });
    const images = one.to - one.from;
    const seconds = (performance.now() - began) / 1000;
    for (const sum of i === 0 ? [spent[one.view]!] : [spent[one.view]!, paced]) {
      sum.seconds += seconds;
      sum.images += images;
    }
    done += images;
    tell();
    if ((await pass.gate()) === 'stop') return 'stopped';
  }
  return {
    features: wanted.map(({ images }, view) => featuresOf(images, values[view]!, width)),
    secondsEach: spent.map(({ seconds, images }) => (images === 0 ? null : seconds / images)),
  };
}

/** What a page can draw, ms. */
const TELL_EVERY = 100;

const nothing = (): Map<number, Uint8Array> => new Map();

function featuresOf(images: readonly number[], halves: Uint16Array, width: number): Features {
  const rows = new Map(images.map((index, row) => [index, row]));
  return {
    of: (indices) => {
      const table = floats();
      const out = new Float32Array(indices.length * width);
      indices.forEach((index, i) => {
        const row = rows.get(index);
        if (row === undefined) throw new RangeError(`There are no features of image ${index}.`);
        const [to, from] = [i * width, row * width];
        for (let f = 0; f < width; f++) out[to + f] = table[halves[from + f]!]!;
      });
      return out;
    },
  };
}

let table: Float32Array | undefined;
/** Of every half: a look is quicker than a computation, and an epoch makes millions. */
function floats(): Float32Array {
  return (table ??= fromFloat16(Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits)));
}

function isFinite16(bits: number): boolean {
  return (bits & 0x7c00) !== 0x7c00;
}

const SEAL = 32;

/** The halves and the SHA-256 of their bytes. */
function sealed(halves: Uint16Array): Uint8Array {
  const bytes = new Uint8Array(halves.byteLength + SEAL);
  const content = new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength);
  bytes.set(content);
  bytes.set(sha256(content), halves.byteLength);
  return bytes;
}

/** Null where it isn't there, cut short, or other bytes than were written. */
function opened(bytes: Uint8Array | undefined, count: number): Uint16Array | null {
  if (bytes?.length !== 2 * count + SEAL) return null;
  // A copy: the bytes may lie anywhere in a larger buffer, halves at even places only. (`slice` of Node's Buffer makes none.)
  const content = new Uint8Array(bytes.subarray(0, 2 * count));
  const seal = sha256(content);
  return seal.every((byte, i) => byte === bytes[2 * count + i]) ? new Uint16Array(content.buffer) : null;
}
