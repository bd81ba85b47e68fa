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

/** The upper half of a product of two uint32, as an int32. */
function mulHi(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const mid = (Math.imul(a1, b0) + (Math.imul(a0, b0) >>> 16)) | 0;
  const mid2 = (Math.imul(a0, b1) + (mid & 0xffff)) | 0;
  return (Math.imul(a1, b1) + (mid >>> 16) + (mid2 >>> 16)) | 0;
}

/** One Philox4x32-10 block of the counter `c0 … c3` and the key `k0, k1`, written to `out` from `at` on. */
function block(
  out: Uint32Array,
  at: number,
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
): void {
  for (let round = 0; round < 10; round++) {
    const hi0 = mulHi(M0, c0);
    const lo0 = Math.imul(M0, c0);
    const hi1 = mulHi(M1, c2);
    const lo1 = Math.imul(M1, c2);
    c0 = hi1 ^ c1 ^ k0;
    c1 = lo1;
    c2 = hi0 ^ c3 ^ k1;
    c3 = lo0;
    k0 = (k0 + W0) | 0;
    k1 = (k1 + W1) | 0;
  }
  out[at] = c0;
  out[at + 1] = c1;
  out[at + 2] = c2;
  out[at + 3] = c3;
}

/** One Philox4x32-10 block. `counter`: 4 uint32, `key`: 2 uint32; returns 4 uint32. */
export function philox4x32(
  [c0, c1, c2, c3]: readonly [number, number, number, number],
  [k0, k1]: readonly [number, number],
): [number, number, number, number] {
  const out = new Uint32Array(4);
  block(out, 0, c0, c1, c2, c3, k0, k1);
  return [out[0]!, out[1]!, out[2]!, out[3]!];
}

function keyOf(seed: number): [number, number] {
  return [seed | 0, Math.floor(seed / 0x100000000) | 0];
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
  const [k0, k1] = keyOf(seed);
  const [s0 = 0, s1 = 0, s2 = 0] = stream;
  const buffer = new Uint32Array(4);
  let blocks = 0;
  let position = 4;
  const next = (): number => {
    if (position === 4) {
      block(buffer, 0, blocks++, s0, s1, s2, k0, k1);
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

/** The first `out.length` draws of `random(seed, ...stream)` at once: `uniform()` is each of them divided by 2³². */
export function fillWords(out: Uint32Array, seed: number, stream: readonly [number, number, number]): void {
  const [k0, k1] = keyOf(seed);
  const [s0, s1, s2] = stream;
  const whole = out.length >>> 2;
  for (let i = 0; i < whole; i++) block(out, 4 * i, i, s0, s1, s2, k0, k1);
  if (4 * whole === out.length) return;
  const last = new Uint32Array(4);
  block(last, 0, whole, s0, s1, s2, k0, k1);
  out.set(last.subarray(0, out.length - 4 * whole), 4 * whole);
}

/** FNV-1a over UTF-8, 32 bits: a stream for everything that has a name (a parameter, a file). */
export function fnv1a32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
