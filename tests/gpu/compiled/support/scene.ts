import { expect } from 'vitest';
import {
  kept,
  matrix,
  type Activation,
  type Memory,
  type NormTable,
  type Range,
  type Source,
  type View,
} from '../../../../src/engine/compiled/memory.ts';
import type { Partials } from '../../../../src/engine/compiled/calls.ts';
import { random } from '../../../../src/random.ts';

/** Memories with what is in them before a call, and what the definitions say of them, in double precision. */
export interface Scene {
  readonly contents: Map<Memory, Float32Array>;
  /** Uniform in [low, high). */
  draw(low: number, high: number): number;
  /** A view inside a wider matrix of random numbers; `before` and `after`: channels of its neighbours. */
  view(
    name: string,
    rows: number,
    channels: number,
    around?: { readonly before?: number; readonly after?: number },
  ): View;
  /** A view that is its whole matrix, with given numbers. */
  given(name: string, rows: number, channels: number, value: (row: number, c: number) => number): View;
  /** A table as a norm would leave it. */
  norm(name: string, channels: number): NormTable;
  source(
    name: string,
    images: number,
    pixels: number,
    channels: number,
    options?: { readonly norm?: boolean; readonly activation?: Activation; readonly factor?: boolean },
  ): Source;
  /** Ranges in one memory, with gaps. */
  ranges<Names extends string>(
    memory: string,
    values: Readonly<Record<Names, readonly number[]>>,
  ): Record<Names, Range>;
  /** What was there before. */
  at(view: View, row: number, c: number): number;
  valueOf(
    source: Source,
    row: number,
    c: number,
    pixels: number,
  ): { raw: number; z: number; hat: number; slope: number; value: number };
}

export function scene(seed: number): Scene {
  const { uniform } = random(seed, 1);
  const contents = new Map<Memory, Float32Array>();
  const draw = (low: number, high: number): number => low + (high - low) * uniform();

  function view(name: string, rows: number, channels: number, { before = 4, after = 8 } = {}): View {
    const wide = matrix(name, rows, before + channels + after);
    contents.set(
      wide,
      Float32Array.from({ length: wide.floats }, () => draw(-2, 2)),
    );
    return { matrix: wide, first: before, channels };
  }

  function given(name: string, rows: number, channels: number, value: (row: number, c: number) => number): View {
    const whole = matrix(name, rows, channels);
    contents.set(
      whole,
      Float32Array.from({ length: whole.floats }, (_, i) => value(Math.floor(i / channels), i % channels)),
    );
    return { matrix: whole, first: 0, channels };
  }

  function norm(name: string, channels: number): NormTable {
    const [mean, inverse, gamma, beta] = [
      [-1, 1],
      [0.5, 2],
      [-2, 2],
      [-2, 2],
    ].map(([low, high]) => Array.from({ length: channels }, () => draw(low!, high!))) as [
      number[],
      number[],
      number[],
      number[],
    ];
    return given(name, 4, channels, (row, c) => {
      const scale = gamma[c]! * inverse[c]!;
      return [scale, beta[c]! - scale * mean[c]!, mean[c]!, inverse[c]!][row]!;
    }).matrix;
  }

  return {
    contents,
    draw,
    view,
    given,
    norm,
    source(name, images, pixels, channels, { norm: normed = false, activation = 'none', factor = false } = {}) {
      return {
        view: view(name, images * pixels, channels),
        norm: normed ? norm(`${name} norm`, channels) : null,
        activation,
        factor: factor ? view(`${name} factor`, images, channels, { before: 8, after: 0 }) : null,
      };
    },
    ranges(name, values) {
      const entries = Object.entries(values) as [keyof typeof values, readonly number[]][];
      const floats = entries.reduce((sum, [, { length }]) => sum + 4 + length, 4);
      const memory = kept(name, floats);
      const data = Float32Array.from({ length: floats }, () => draw(-2, 2));
      contents.set(memory, data);
      let offset = 4;
      const result = {} as Record<keyof typeof values, Range>;
      for (const [key, numbers] of entries) {
        data.set(numbers, offset);
        result[key] = { memory, offset };
        offset += numbers.length + 4;
      }
      return result;
    },
    at: ({ matrix: { channels }, matrix, first }, row, c) => contents.get(matrix)![row * channels + first + c]!,
    valueOf({ view: { matrix: wide, first }, norm: table, activation, factor }, row, c, pixels) {
      const raw = contents.get(wide)![row * wide.channels + first + c]!;
      const entry = (r: number): number => contents.get(table!)![r * table!.channels + c]!;
      const z = table ? entry(0) * raw + entry(1) : raw;
      const gain = factor
        ? contents.get(factor.matrix)![Math.floor(row / pixels) * factor.matrix.channels + factor.first + c]!
        : 1;
      return {
        raw,
        z,
        hat: table ? (raw - entry(2)) * entry(3) : Number.NaN,
        slope: slopes[activation](z),
        value: activations[activation](z) * gain,
      };
    },
  };
}

/** torch.nn.ReLU, Hardswish, Hardsigmoid. */
export const activations: Record<Activation, (z: number) => number> = {
  none: (z) => z,
  relu: (z) => Math.max(0, z),
  hardswish: (z) => (z * Math.min(6, Math.max(0, z + 3))) / 6,
  hardsigmoid: (z) => Math.min(6, Math.max(0, z + 3)) / 6,
};

export const slopes: Record<Activation, (z: number) => number> = {
  none: () => 1,
  relu: (z) => (z > 0 ? 1 : 0),
  hardswish: (z) => (z < -3 ? 0 : z > 3 ? 1 : z / 3 + 0.5),
  hardsigmoid: (z) => (z > -3 && z < 3 ? 1 / 6 : 0),
};

/** The view's channels are as expected, all others as they were. */
export function expectView(
  actual: Float32Array,
  before: Float32Array,
  { matrix: { rows, channels: stride }, first, channels }: View,
  expected: (row: number, c: number) => number,
  tolerance = 1e-5,
): void {
  const wrong: string[] = [];
  for (let row = 0; row < rows; row++) {
    for (let c = -first; c < stride - first; c++) {
      const i = row * stride + first + c;
      const inside = c >= 0 && c < channels;
      const wanted = inside ? expected(row, c) : before[i]!;
      const error = Math.abs(actual[i]! - wanted);
      const fine = inside
        ? error <= tolerance * Math.max(1, Math.abs(wanted)) || Object.is(actual[i], wanted)
        : error === 0;
      if (!fine) wrong.push(`row ${row}, channel ${c}: ${actual[i]} instead of ${wanted}`);
    }
  }
  expect(wrong.slice(0, 5)).toEqual([]);
}

/** Floats of a range are as expected; `i` counts from its first. */
export function expectRange(
  actual: Float32Array,
  { offset }: Range,
  expected: readonly number[],
  tolerance = 1e-5,
): void {
  expected.forEach((wanted, i) => {
    expect(
      Math.abs(actual[offset + i]! - wanted),
      `float ${i}: ${actual[offset + i]} for ${wanted}`,
    ).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(wanted)));
  });
}

/** Floats in none of the ranges are as they were. */
export function expectRest(actual: Float32Array, before: Float32Array, ranges: readonly Range[], length: number): void {
  for (let i = 0; i < before.length; i++) {
    if (!ranges.some(({ offset }) => i >= offset && i < offset + length)) expect(actual[i]).toBe(before[i]);
  }
}

export function sum(count: number, term: (i: number) => number): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += term(i);
  return total;
}

/** Tiles of sums over rows. */
export function tilesOf(name: string, rows: number, channels: number, tileRows: number): Partials {
  const tiles = Math.ceil(rows / tileRows);
  return { matrix: matrix(name, 2 * tiles, channels), tiles, tileRows };
}

/** Mean and biased variance in two passes. */
export function momentsOf(count: number, value: (i: number) => number): { mean: number; variance: number } {
  const mean = sum(count, value) / count;
  return { mean, variance: sum(count, (i) => (value(i) - mean) ** 2) / count };
}

export const numbers = (s: Scene, count: number, low: number, high: number): number[] =>
  Array.from({ length: count }, () => s.draw(low, high));
