import { cos, log } from './elementary.ts';

/**
 * Seeded random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 * Counter-based: the n-th draw of a stream depends on (seed, stream, n) alone, so a run resumed from a checkpoint, and the
 * same run in Node and in a browser, draw the same numbers. A leaf: every room may import it.
 */
const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

function mulHi(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const low = a0 * b0;
  const mid = a1 * b0 + (low >>> 16);
  const mid2 = a0 * b1 + (mid & 0xffff);
  return (a1 * b1 + Math.floor(mid / 0x10000) + (mid2 >>> 16)) >>> 0;
}

/** One Philox4x32-10 block. `counter`: 4 uint32, `key`: 2 uint32; returns 4 uint32. */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const hi0 = mulHi(M0, c0);
    const lo0 = Math.imul(M0, c0) >>> 0;
    const hi1 = mulHi(M1, c2);
    const lo1 = Math.imul(M1, c2) >>> 0;
    c0 = (hi1 ^ c1 ^ k0) >>> 0;
    c1 = lo1;
    c2 = (hi0 ^ c3 ^ k1) >>> 0;
    c3 = lo0;
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

export interface Random {
  /** Uniform in [0, 1), 32 bits of it. */
  uniform(): number;
  /** Uniform in [low, high). */
  between(low: number, high: number): number;
  /** Integer, uniform in [0, n). */
  integer(n: number): number;
  /** Standard normal (Box–Muller). */
  normal(): number;
  /** Fisher–Yates, in place. */
  shuffle<T>(items: T[]): T[];
}

/** What a checkpoint calls this generator, `uniform` and `shuffle` below with it. Another way to draw is another name. */
export const GENERATOR = 'philox4x32-10';

/**
 * First number of each stream that is drawn from with a run's seeds; further numbers tell epochs, steps, images and layers apart. First
 * weights have a stream by each parameter's name.
 */
export const STREAMS = { order: 1, augmentation: 2, dropout: 0x64726f70, split: 0x73706c69 } as const;

/** `stream`: up to three uint32 that separate uses of one seed, e.g. (purpose, epoch, image index). */
export function random(seed: number, ...stream: [number?, number?, number?]): Random {
  const key = [seed >>> 0, Math.floor(seed / 0x100000000) >>> 0] as const;
  let block = 0;
  let buffer: readonly number[] = [];
  let position = 4;
  const next = (): number => {
    if (position === 4) {
      buffer = philox4x32([block++, (stream[0] ?? 0) >>> 0, (stream[1] ?? 0) >>> 0, (stream[2] ?? 0) >>> 0], key);
      position = 0;
    }
    return buffer[position++] as number;
  };
  const uniform = (): number => next() / 0x100000000;
  const integer = (n: number): number => Math.floor(uniform() * n);
  return {
    uniform,
    integer,
    between: (low, high) => low + (high - low) * uniform(),
    normal: () => Math.sqrt(-2 * log(1 - uniform())) * cos(2 * Math.PI * uniform()),
    shuffle: (items) => {
      for (let i = items.length - 1; i > 0; i--) {
        const j = integer(i + 1);
        [items[i], items[j]] = [items[j] as never, items[i] as never];
      }
      return items;
    },
  };
}

/** FNV-1a over UTF-8, 32 bits: a stream for everything that has a name (a parameter, a file). */
export function fnv1a32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
