import { beforeAll, describe, expect, it } from 'vitest';
import type { CallOf, Geometry } from '../../../src/engine/compiled/calls.ts';
import type { KernelTable } from '../../../src/engine/compiled/kernels.ts';
import {
  kept,
  matrix,
  whole,
  type Activation,
  type Matrix,
  type Memory,
  type Source,
  type View,
} from '../../../src/engine/compiled/memory.ts';
import {
  depthwiseInputGradientKernel,
  depthwiseKernel,
  depthwiseTile,
} from '../../../src/engine/compiled/wgsl/depthwise.ts';
import { depthwiseFilterGradientKernel } from '../../../src/engine/compiled/wgsl/depthwiseFilterGradient.ts';
import { random } from '../../../src/random.ts';
import { runTwice } from './support/repeated.ts';
import { openBench, type Bench } from './support/runCalls.ts';
import { activations, slopes, tilesOf } from './support/scene.ts';

// The smallest tiles compile fastest on lavapipe; a stride rounds them up.
const tiles = [{ rows: 1, columns: 2, filterColumns: 2, sums: false }, depthwiseTile({ software: false })];
const [small, large] = tiles.map((tile) => {
  return {
    depthwise: depthwiseKernel(tile),
    depthwiseInputGradient: depthwiseInputGradientKernel(tile),
    depthwiseFilterGradient: depthwiseFilterGradientKernel(tile),
  } satisfies Partial<KernelTable>;
}) as [Kernels, Kernels];
type Kernels = Pick<KernelTable, 'depthwise' | 'depthwiseInputGradient' | 'depthwiseFilterGradient'>;

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});

interface Case {
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly activation?: Activation;
  readonly norm?: boolean;
  readonly factor?: boolean;
  /** Channels before and after those of the views. */
  readonly around?: number;
  /** `beside`: in the memory of the weights. */
  readonly bias?: 'apart' | 'beside';
  readonly accumulate?: boolean;
  /** By the tiles of a GPU; else by smaller ones. */
  readonly large?: boolean;
}

const cases: readonly Case[] = [
  // So many rows that a slice of the filter's gradient has several.
  { images: 40, height: 33, width: 7, channels: 8, kernel: 3, stride: 1, padding: 1, norm: true, accumulate: true },
  { images: 1, height: 7, width: 10, channels: 12, kernel: 3, stride: 2, padding: 1, norm: true, activation: 'relu' },
  {
    images: 2,
    height: 11,
    width: 9,
    channels: 4,
    kernel: 5,
    stride: 1,
    padding: 2,
    norm: true,
    activation: 'hardswish',
    around: 4,
  },
  {
    images: 3,
    height: 14,
    width: 13,
    channels: 16,
    kernel: 5,
    stride: 2,
    padding: 2,
    norm: true,
    factor: true,
    around: 8,
    accumulate: true,
  },
  { images: 2, height: 1, width: 5, channels: 4, kernel: 3, stride: 1, padding: 1, factor: true, bias: 'beside' },
  { images: 1, height: 11, width: 10, channels: 4, kernel: 2, stride: 3, padding: 1, bias: 'apart', large: true },
];

const named = cases.map((one) => {
  const { kernel, stride, ...rest } = one;
  return [`${kernel}×${kernel}, stride ${stride}, ${JSON.stringify(rest)}`, one] as const;
});

function values(seed: number, count: number): Float32Array {
  const { uniform } = random(seed, 1);
  return Float32Array.from({ length: count }, () => uniform() * 4 - 2);
}

function prepared(one: Case) {
  const { images, height, width, channels, kernel, stride, padding, around = 0 } = one;
  const outHeight = Math.floor((height + 2 * padding - kernel) / stride) + 1;
  const outWidth = Math.floor((width + 2 * padding - kernel) / stride) + 1;
  const geometry: Geometry = { images, height, width, outHeight, outWidth, kernel, stride, padding };
  const contents = new Map<Memory, Float32Array>();
  const view = (name: string, rows: number): View => {
    const of = matrix(name, rows, channels + 2 * around);
    contents.set(of, values(contents.size + 1, of.floats));
    return { matrix: of, first: around, channels };
  };
  const source: Source = {
    view: view('source', images * height * width),
    norm: one.norm ? view('norm', 4).matrix : null,
    activation: one.activation ?? 'none',
    factor: one.factor ? view('factor', images) : null,
  };
  const parameters = kept('parameters', 8 + (kernel * kernel + 1) * channels);
  const biases = kept('biases', 4 + channels);
  const gradients = kept('gradients', parameters.floats);
  for (const each of [parameters, biases, gradients]) contents.set(each, values(contents.size + 1, each.floats));
  const weight = { memory: parameters, offset: 4 };
  const bias =
    one.bias === undefined
      ? null
      : one.bias === 'apart'
        ? { memory: biases, offset: 4 }
        : { memory: parameters, offset: 4 + kernel * kernel * channels };
  const at = ({ matrix: of, first }: View, row: number, c: number): number =>
    contents.get(of)![row * of.channels + first + c]!;
  /** Of the source, by definition. */
  const valueOf = (image: number, y: number, x: number, c: number): number => {
    if (y < 0 || x < 0 || y >= height || x >= width) return 0;
    const row = (image * height + y) * width + x;
    const table = source.norm ? whole(source.norm) : null;
    const z = at(source.view, row, c) * (table ? at(table, 0, c) : 1) + (table ? at(table, 1, c) : 0);
    return activations[source.activation](z) * (source.factor ? at(source.factor, image, c) : 1);
  };
  const weightOf = (tap: number, c: number): number => contents.get(parameters)![4 + tap * channels + c]!;
  return { geometry, contents, source, weight, bias, gradients, view, at, valueOf, weightOf };
}

/** Every output and what it reads: `visit(image, output row, tap, input y, input x)`. */
function eachTap(
  { images, outHeight, outWidth, kernel, stride, padding }: Geometry,
  visit: (image: number, row: number, tap: number, y: number, x: number) => void,
): void {
  for (let row = 0; row < images * outHeight * outWidth; row++) {
    const y = Math.floor(row / outWidth) % outHeight;
    const image = Math.floor(row / (outHeight * outWidth));
    for (let tap = 0; tap < kernel * kernel; tap++) {
      const [ky, kx] = [Math.floor(tap / kernel), tap % kernel];
      visit(image, row, tap, y * stride - padding + ky, (row % outWidth) * stride - padding + kx);
    }
  }
}

/** Twice, with the same bits, and near what is expected; outside of the view nothing is touched. */
async function check(
  kernels: Partial<KernelTable>,
  call: CallOf<'depthwise'> | CallOf<'depthwiseInputGradient'>,
  contents: Map<Memory, Float32Array>,
  expected: Float64Array,
): Promise<void> {
  const { matrix: of, first, channels } = call.out;
  const [found] = await runTwice(bench, kernels, [call], contents, [of]);
  const before = contents.get(of)!;
  for (let i = 0; i < of.floats; i++) {
    const [row, c] = [Math.floor(i / of.channels), (i % of.channels) - first];
    if (c < 0 || c >= channels) expect(found![i]).toBe(before[i]);
    else near(found![i]!, expected[row * channels + c]!);
  }
}

function near(found: number, expected: number): void {
  if (!(Math.abs(found - expected) <= 2e-5 * (1 + Math.abs(expected)))) expect(found).toBe(expected);
}

describe('depthwise convolution as a double loop in double precision', () => {
  it.each(named)('%s', async (_, one) => {
    const { geometry, contents, source, weight, bias, view, valueOf, weightOf } = prepared(one);
    const { images, outHeight, outWidth } = geometry;
    const { channels } = one;
    const rows = images * outHeight * outWidth;
    const out = view('out', rows);
    const expected = new Float64Array(rows * channels);
    if (bias) {
      const all = contents.get(bias.memory)!;
      for (let i = 0; i < expected.length; i++) expected[i] = all[bias.offset + (i % channels)]!;
    }
    eachTap(geometry, (image, row, tap, y, x) => {
      for (let c = 0; c < channels; c++) expected[row * channels + c]! += valueOf(image, y, x, c) * weightOf(tap, c);
    });
    const call = { kind: 'depthwise', node: 'it', ...geometry, source, weight, bias, out, statistics: null } as const;
    await check(one.large ? large : small, call, contents, expected);
  });
});

describe('its input’s gradient', () => {
  it.each(named)('%s', async (_, one) => {
    const { geometry, contents, weight, view, at, weightOf } = prepared(one);
    const { images, height, width, outHeight, outWidth } = geometry;
    const { channels, accumulate = false } = one;
    const dy = view('dy', images * outHeight * outWidth);
    const out = view('dx', images * height * width);
    const expected = new Float64Array(images * height * width * channels);
    if (accumulate) {
      for (let i = 0; i < expected.length; i++) expected[i] = at(out, Math.floor(i / channels), i % channels);
    }
    eachTap(geometry, (image, row, tap, y, x) => {
      if (y < 0 || x < 0 || y >= height || x >= width) return;
      for (let c = 0; c < channels; c++) {
        expected[((image * height + y) * width + x) * channels + c]! += at(dy, row, c) * weightOf(tap, c);
      }
    });
    const call = { kind: 'depthwiseInputGradient', node: 'it', ...geometry, dy, weight, out } as const;
    await check(one.large ? large : small, { ...call, accumulate, epilogue: null }, contents, expected);
  });
});

describe('its filter’s gradient, added to what is there', () => {
  it.each(named)('%s', async (_, one) => {
    const { geometry, contents, source, gradients, view, at, valueOf } = prepared(one);
    const { images, outHeight, outWidth, kernel } = geometry;
    const { channels } = one;
    const dy = view('dy', images * outHeight * outWidth);
    const before = contents.get(gradients)!;
    const expected = Float64Array.from(before);
    eachTap(geometry, (image, row, tap, y, x) => {
      for (let c = 0; c < channels; c++) {
        expected[4 + tap * channels + c]! += valueOf(image, y, x, c) * at(dy, row, c);
      }
    });
    const call: CallOf<'depthwiseFilterGradient'> = {
      kind: 'depthwiseFilterGradient',
      node: 'it',
      ...geometry,
      source,
      dy,
      gradient: { memory: gradients, offset: 4 },
    };
    const kernels = one.large ? large : small;
    const [found] = await runTwice(bench, kernels, [call], contents, [gradients]);
    const scale = Math.sqrt(images * outHeight * outWidth);
    for (let i = 0; i < found!.length; i++) {
      const inside = i >= 4 && i < 4 + kernel * kernel * channels;
      if (inside) near(found![i]! / scale, expected[i]! / scale);
      else expect(found![i]).toBe(before[i]);
    }
  });
});

/** Cut into tiles of rows as the kernel says; `[2 · tiles, channels]`. */
function tiled(
  rows: number,
  channels: number,
  tileRows: number,
  write: (begin: number, end: number, c: number) => [number, number],
): Float64Array {
  const tiles = Math.ceil(rows / tileRows);
  const expected = new Float64Array(2 * tiles * channels);
  for (let tile = 0; tile < tiles; tile++) {
    for (let c = 0; c < channels; c++) {
      const [first, second] = write(tile * tileRows, Math.min(rows, (tile + 1) * tileRows), c);
      expected[2 * tile * channels + c] = first;
      expected[(2 * tile + 1) * channels + c] = second;
    }
  }
  return expected;
}

describe('sums over tiles of rows, beside', () => {
  const like = { kernel: 3, stride: 1, padding: 1, norm: true, activation: 'relu', bias: 'apart' } as const;
  const summed: readonly (Case & { readonly tileRows: number })[] = [
    // A tile is a whole image; not all lanes have a channel.
    { images: 3, height: 7, width: 7, channels: 72, ...like, tileRows: 49 },
    // A tile is some lines of an image.
    { images: 2, height: 24, width: 30, channels: 16, around: 4, ...like, tileRows: 360 },
    // A thread makes several, since no even number of lines divides these.
    { images: 1, height: 37, width: 30, channels: 16, ...like, tileRows: 1110 },
    { images: 2, height: 13, width: 14, channels: 8, ...like, activation: 'hardswish', stride: 2, tileRows: 49 },
  ];

  it.each(summed.slice(0, 3).map((one) => [JSON.stringify(one), one] as const))('statistics, %s', async (_, one) => {
    const { geometry, contents, source, weight, bias, view, valueOf, weightOf } = prepared(one);
    const { channels } = one;
    const rows = geometry.images * geometry.outHeight * geometry.outWidth;
    const values = new Float64Array(rows * channels);
    if (bias) {
      // A mean that is large against the deviation.
      contents.get(bias.memory)!.fill(1000);
      values.fill(1000);
    }
    eachTap(geometry, (image, row, tap, y, x) => {
      for (let c = 0; c < channels; c++) values[row * channels + c]! += valueOf(image, y, x, c) * weightOf(tap, c);
    });
    const out = view('out', rows);
    const base = { kind: 'depthwise', node: 'it', ...geometry, source, weight, bias, out } as const;
    const tileRows = large.depthwise.tileRows!({ ...base, statistics: null });
    expect(tileRows).toBe(one.tileRows);
    const expected = tiled(rows, channels, tileRows, (begin, end, c) => {
      const own = Array.from({ length: end - begin }, (__, i) => values[(begin + i) * channels + c]!);
      const mean = own.reduce((sum, value) => sum + value, 0) / own.length;
      return [mean, own.reduce((sum, value) => sum + (value - mean) ** 2, 0)];
    });
    const statistics = tilesOf('partials', rows, channels, tileRows);
    const wanted = [out.matrix, statistics.matrix];
    const [found, sums] = await runTwice(bench, large, [{ ...base, statistics }], contents, wanted);
    const { matrix: of, first } = out;
    for (let i = 0; i < values.length; i++) {
      near(found![Math.floor(i / channels) * of.channels + first + (i % channels)]!, values[i]!);
    }
    // What rounding a value of about 1000 costs.
    const tolerance = bias ? 1e-3 : 2e-5;
    for (let i = 0; i < expected.length; i++) {
      if (!(Math.abs(sums![i]! - expected[i]!) <= tolerance * (1 + Math.abs(expected[i]!)))) {
        expect(sums![i], `sum ${i}`).toBe(expected[i]);
      }
    }
  });

  it.each(summed.map((one) => [JSON.stringify(one), one] as const))(
    'gradients through the norm, %s',
    async (_, one) => {
      const { geometry, contents, source, weight, view, at, weightOf } = prepared(one);
      const { images, height, width, outHeight, outWidth } = geometry;
      const { channels } = one;
      const dy = view('dy', images * outHeight * outWidth);
      const out = view('dx', images * height * width);
      const rows = images * height * width;
      const values = new Float64Array(rows * channels);
      eachTap(geometry, (image, row, tap, y, x) => {
        if (y < 0 || x < 0 || y >= height || x >= width) return;
        for (let c = 0; c < channels; c++) {
          values[((image * height + y) * width + x) * channels + c]! += at(dy, row, c) * weightOf(tap, c);
        }
      });
      const table = whole(source.norm!);
      const hats = values.map((__, i) => {
        const [row, c] = [Math.floor(i / channels), i % channels];
        return (at(source.view, row, c) - at(table, 2, c)) * at(table, 3, c);
      });
      for (let i = 0; i < values.length; i++) {
        const c = i % channels;
        values[i]! *= slopes[source.activation](
          at(table, 0, c) * at(source.view, Math.floor(i / channels), c) + at(table, 1, c),
        );
      }
      const base = {
        kind: 'depthwiseInputGradient',
        node: 'it',
        ...geometry,
        dy,
        weight,
        out,
        accumulate: false,
      } as const;
      const tileRows = large.depthwiseInputGradient.tileRows!({ ...base, epilogue: null });
      const expected = tiled(rows, channels, tileRows, (begin, end, c) => {
        let [sum, product] = [0, 0];
        for (let row = begin; row < end; row++) {
          sum += values[row * channels + c]!;
          product += values[row * channels + c]! * hats[row * channels + c]!;
        }
        return [sum, product];
      });
      const partials = tilesOf('partials', rows, channels, tileRows);
      const call = { ...base, epilogue: { source, sums: partials } };
      await check(large, call, contents, values);
      const [sums] = await runTwice(bench, large, [call], contents, [partials.matrix]);
      const scale = Math.sqrt(tileRows);
      expected.forEach((value, i) => near(sums![i]! / scale, value / scale));
    },
  );
});

it('what a program is named says what it is', () => {
  const names = new Map<string, string>();
  for (const [one, by] of cases.flatMap((each) => [[each, small] as const, [each, large] as const])) {
    const { geometry, source, weight, bias, gradients, view } = prepared(one);
    const { images, height, width, outHeight, outWidth } = geometry;
    const dy = view('dy', images * outHeight * outWidth);
    const dx = view('dx', images * height * width);
    const scratch: Matrix = matrix('scratch', 1, 4);
    const sums = { matrix: matrix('sums', 2, 4), tiles: 1, tileRows: 1 };
    const base = { node: 'it', ...geometry };
    const dispatches = [
      ...by.depthwise.dispatches({ ...base, kind: 'depthwise', source, weight, bias, out: dy, statistics: null }, null),
      ...[false, true].flatMap((accumulate) =>
        by.depthwiseInputGradient.dispatches(
          { ...base, kind: 'depthwiseInputGradient', dy, weight, out: dx, accumulate, epilogue: null },
          null,
        ),
      ),
      ...(by.depthwise.tileRows && source.norm
        ? [
            ...by.depthwise.dispatches(
              { ...base, kind: 'depthwise', source, weight, bias, out: dy, statistics: sums },
              null,
            ),
            ...by.depthwiseInputGradient.dispatches(
              {
                ...base,
                kind: 'depthwiseInputGradient',
                dy,
                weight,
                out: dx,
                accumulate: false,
                epilogue: { source: { ...source, factor: null }, sums },
              },
              null,
            ),
          ]
        : []),
      ...by.depthwiseFilterGradient.dispatches(
        { ...base, kind: 'depthwiseFilterGradient', source, dy, gradient: { memory: gradients, offset: 4 } },
        scratch,
      ),
    ];
    for (const { program, memories } of dispatches) {
      expect(names.get(program.name) ?? program.code).toBe(program.code);
      names.set(program.name, program.code);
      expect(new Set(memories).size).toBe(memories.length);
      expect(memories.length).toBeLessThanOrEqual(8);
    }
  }
});
