import { beforeAll, describe, expect, it } from 'vitest';
import type { CallOf, Geometry } from '../../../src/engine/compiled/calls.ts';
import type { Dispatch, KernelTable } from '../../../src/engine/compiled/kernels.ts';
import { matrix, type Activation, type Source } from '../../../src/engine/compiled/memory.ts';
import { convKernel } from '../../../src/engine/compiled/wgsl/conv.ts';
import { convFilterGradientKernel } from '../../../src/engine/compiled/wgsl/convFilterGradient.ts';
import { convInputGradientKernel } from '../../../src/engine/compiled/wgsl/convInputGradient.ts';
import {
  sharedTiles,
  tileKey,
  tiles,
  tilingOf,
  type Tile,
  type Tiling,
} from '../../../src/engine/compiled/wgsl/gemmTiles.ts';
import { runTwice } from './support/repeated.ts';
import { openBench, type Bench } from './support/runCalls.ts';
import { expectRange, expectRest, expectView, scene, sum, tilesOf, type Scene } from './support/scene.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});

const always = (tile: Tile, enough: number, filter: Tile = tile): Tiling => ({
  product: () => tile,
  filter: () => ({ tile: filter, enough }),
});
/**
 * Each generator, and each of its shapes; `enough` decides how many slices a filter's gradient has. Lavapipe takes seconds to compile a
 * kernel with barriers: of those that a GPU gets without a measurement one odd case, all of all with PACERID_ALL_TILES in the environment.
 */
const tilings: readonly {
  readonly name: string;
  readonly tiling: Tiling;
  readonly only?: readonly number[];
  /** Statistics of values far from zero, too. */
  readonly farFromZero?: boolean;
}[] = [
  { name: 'lanes', tiling: always(tiles.lanes16, 1) },
  { name: 'lanes of 8, slices', tiling: always(tiles.lanes8, 64), only: [3, 9] },
  { name: 'small, small ahead', tiling: always(tiles.small, 64, tiles.smallAhead), only: [4], farFromZero: true },
  { name: 'tall, tower', tiling: always(tiles.tall, 64, tiles.tower), only: [4] },
  { name: 'large ahead, large', tiling: always(tiles.largeAhead, 64, tiles.large), only: [4] },
  ...sharedTiles.map((tile) => ({ name: tileKey(tile), tiling: always(tile, 64), only: [] })),
];

function tableOf(tiling: Tiling): Pick<KernelTable, 'conv' | 'convInputGradient' | 'convFilterGradient'> {
  return {
    conv: convKernel(tiling),
    convInputGradient: convInputGradientKernel(tiling),
    convFilterGradient: convFilterGradientKernel(tiling),
  };
}

interface Case {
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly norm?: boolean;
  readonly activation?: Activation;
  readonly factor?: boolean;
  readonly bias?: 'apart' | 'beside';
  readonly accumulate?: boolean;
}

const relu = { norm: true, activation: 'relu' } as const;
const cases: readonly Case[] = [
  { images: 2, height: 9, width: 7, kernel: 1, stride: 1, padding: 0, inChannels: 20, outChannels: 36, ...relu },
  { images: 3, height: 1, width: 1, kernel: 1, stride: 1, padding: 0, inChannels: 72, outChannels: 8, bias: 'beside' },
  {
    images: 2,
    height: 5,
    width: 7,
    kernel: 1,
    stride: 2,
    padding: 0,
    inChannels: 8,
    outChannels: 68,
    accumulate: true,
  },
  { images: 2, height: 9, width: 11, kernel: 3, stride: 1, padding: 1, inChannels: 36, outChannels: 32, ...relu },
  { images: 2, height: 10, width: 9, kernel: 3, stride: 2, padding: 1, inChannels: 32, outChannels: 12, ...relu },
  { images: 1, height: 17, width: 19, kernel: 7, stride: 2, padding: 3, inChannels: 4, outChannels: 64 },
  {
    images: 3,
    height: 6,
    width: 5,
    kernel: 5,
    stride: 1,
    padding: 2,
    inChannels: 8,
    outChannels: 4,
    bias: 'apart',
    accumulate: true,
  },
  {
    images: 2,
    height: 6,
    width: 6,
    kernel: 1,
    stride: 1,
    padding: 0,
    inChannels: 24,
    outChannels: 16,
    norm: true,
    activation: 'hardswish',
    factor: true,
  },
  {
    images: 3,
    height: 1,
    width: 2,
    kernel: 3,
    stride: 2,
    padding: 1,
    inChannels: 4,
    outChannels: 4,
    norm: true,
    activation: 'hardswish',
    factor: true,
  },
  // So many rows that a filter's gradient has slices.
  { images: 2, height: 19, width: 17, kernel: 3, stride: 1, padding: 1, inChannels: 12, outChannels: 8, ...relu },
  {
    images: 3,
    height: 16,
    width: 19,
    kernel: 1,
    stride: 1,
    padding: 0,
    inChannels: 40,
    outChannels: 100,
    accumulate: true,
  },
];

const named = cases.map((one) => {
  const { kernel, stride, images, height, width, inChannels, outChannels, norm, activation, factor } = one;
  const source = `${norm ? ', norm' : ''}${activation ? `, ${activation}` : ''}${factor ? ', factor' : ''}`;
  return [
    `${kernel}×${kernel}/${stride} ${images}×${height}×${width}, ${inChannels} → ${outChannels}${source}`,
    one,
  ] as const;
});

function prepared(one: Case): {
  readonly geometry: Geometry;
  readonly of: Scene;
  readonly source: Source;
  readonly inRows: number;
  readonly outRows: number;
  readonly weights: number;
  weight(tap: number, c: number, o: number): number;
  readonly parameters: ReturnType<Scene['ranges']>;
  readonly apart: ReturnType<Scene['ranges']>;
  /** Row of the input that an output pixel reads at a tap; −1: none. */
  inputOf(outRow: number, tap: number): number;
} {
  const { images, height, width, kernel, stride, padding, inChannels, outChannels } = one;
  const outHeight = Math.floor((height + 2 * padding - kernel) / stride) + 1;
  const outWidth = Math.floor((width + 2 * padding - kernel) / stride) + 1;
  const geometry = { images, height, width, outHeight, outWidth, kernel, stride, padding };
  const of = scene(kernel * 1000 + inChannels * 10 + outChannels);
  const weights = kernel * kernel * inChannels * outChannels;
  const draw = (count: number): number[] => Array.from({ length: count }, () => Math.fround(of.draw(-0.5, 0.5)));
  const values = draw(weights);
  const parameters = of.ranges('parameters', { weight: values, bias: draw(outChannels) });
  return {
    geometry,
    of,
    source: of.source('source', images, height * width, inChannels, one),
    inRows: images * height * width,
    outRows: images * outHeight * outWidth,
    weights,
    weight: (tap, c, o) => values[(tap * inChannels + c) * outChannels + o]!,
    parameters,
    apart: of.ranges('biases', { bias: draw(outChannels) }),
    inputOf(outRow, tap) {
      const image = Math.floor(outRow / (outHeight * outWidth));
      const y = (Math.floor(outRow / outWidth) % outHeight) * stride - padding + Math.floor(tap / kernel);
      const x = (outRow % outWidth) * stride - padding + (tap % kernel);
      return y < 0 || x < 0 || y >= height || x >= width ? -1 : (image * height + y) * width + x;
    },
  };
}

const TOLERANCE = 3e-5;

const everything = process.env['PACERID_ALL_TILES'] !== undefined;

describe.each(tilings)('$name', ({ tiling, only, farFromZero }) => {
  const some = named.filter((__, i) => everything || !only || only.includes(i));
  const kernels = tableOf(tiling);

  it.each(some)('convolution with its statistics: %s', async (__, one) => {
    const { geometry, of, source, outRows, weight, parameters, apart, inputOf } = prepared(one);
    const { inChannels, outChannels, kernel } = one;
    const pixels = one.height * one.width;
    const out = of.view('out', outRows, outChannels);
    const bias = one.bias === undefined ? null : one.bias === 'apart' ? apart.bias! : parameters.bias!;
    const base: Omit<CallOf<'conv'>, 'statistics'> = {
      kind: 'conv',
      node: 'it',
      ...geometry,
      ...{ source, weight: parameters.weight!, bias, out },
    };
    const rows = kernels.conv.tileRows!({ ...base, statistics: null });
    const statistics = one.factor ? null : tilesOf('statistics', outRows, outChannels, rows);
    const wanted = [out.matrix, ...(statistics ? [statistics.matrix] : [])];
    const [found, moments] = await runTwice(bench, kernels, [{ ...base, statistics }], of.contents, wanted);

    const inputs = Array.from({ length: one.images * pixels }, (___, row) =>
      Array.from({ length: inChannels }, (____, c) => of.valueOf(source, row, c, pixels).value),
    );
    const expected = (row: number, o: number): number =>
      (bias ? of.contents.get(bias.memory)![bias.offset + o]! : 0) +
      sum(kernel * kernel, (tap) => {
        const from = inputs[inputOf(row, tap)];
        return from ? sum(inChannels, (c) => from[c]! * weight(tap, c, o)) : 0;
      });
    expectView(found!, of.contents.get(out.matrix)!, out, expected, TOLERANCE);
    if (!statistics) return;
    for (let t = 0; t < statistics.tiles; t++) {
      const count = Math.min(rows, outRows - t * rows);
      for (let o = 0; o < outChannels; o++) {
        const value = (i: number): number => expected(t * rows + i, o);
        const mean = sum(count, value) / count;
        const squares = sum(count, (i) => (value(i) - mean) ** 2);
        expect(Math.abs(moments![2 * t * outChannels + o]! - mean)).toBeLessThan(TOLERANCE);
        expect(Math.abs(moments![(2 * t + 1) * outChannels + o]! - squares)).toBeLessThan(TOLERANCE * (1 + squares));
      }
    }
  });

  it.each(some)('input gradient, plain and with the norm of its reader: %s', async (__, one) => {
    const { geometry, of, inRows, outRows, weight, parameters, inputOf } = prepared(one);
    const { inChannels, outChannels, kernel, activation = 'none', accumulate = false } = one;
    const pixels = one.height * one.width;
    const dy = of.view('dy', outRows, outChannels);
    const out = of.view('dx', inRows, inChannels);
    const base: Omit<CallOf<'convInputGradient'>, 'epilogue' | 'accumulate'> = {
      kind: 'convInputGradient',
      node: 'it',
      ...geometry,
      ...{ dy, weight: parameters.weight!, out },
    };
    const expected = new Float64Array(inRows * inChannels);
    for (let row = 0; row < outRows; row++) {
      for (let tap = 0; tap < kernel * kernel; tap++) {
        const into = inputOf(row, tap);
        if (into < 0) continue;
        for (let c = 0; c < inChannels; c++) {
          expected[into * inChannels + c]! += sum(outChannels, (o) => of.at(dy, row, o) * weight(tap, c, o));
        }
      }
    }
    const before = of.contents.get(out.matrix)!;
    if (!one.norm) {
      const call = { ...base, accumulate, epilogue: null };
      const [found] = await runTwice(bench, kernels, [call], of.contents, [out.matrix]);
      const wanted = (row: number, c: number): number =>
        (accumulate ? of.at(out, row, c) : 0) + expected[row * inChannels + c]!;
      expectView(found!, before, out, wanted, TOLERANCE);
      return;
    }
    const x = of.source('x', one.images, pixels, inChannels, { norm: true, activation });
    const rows = kernels.convInputGradient.tileRows!({ ...base, accumulate: false, epilogue: null });
    const sums = tilesOf('sums', inRows, inChannels, rows);
    const call = { ...base, accumulate: false, epilogue: { source: x, sums } };
    const [found, parts] = await runTwice(bench, kernels, [call], of.contents, [out.matrix, sums.matrix]);
    const dz = (row: number, c: number): number =>
      expected[row * inChannels + c]! * of.valueOf(x, row, c, pixels).slope;
    expectView(found!, before, out, dz, TOLERANCE);
    for (const adds of [false, true]) {
      const part = { ...call, accumulate: adds, epilogue: { ...call.epilogue, partOfDx: true as const } };
      const [dx, again] = await runTwice(bench, kernels, [part], of.contents, [out.matrix, sums.matrix]);
      const wanted = (row: number, c: number): number =>
        (adds ? of.at(out, row, c) : 0) + of.contents.get(x.norm!)![c]! * dz(row, c);
      expectView(dx!, before, out, wanted, 4 * TOLERANCE);
      expect(again).toEqual(parts);
    }
    // Which rows a tile has is the kernel's affair; that all are in one is not.
    for (let c = 0; c < inChannels; c++) {
      const total = (second: number): number => sum(sums.tiles, (t) => parts![(2 * t + second) * inChannels + c]!);
      const size = sum(inRows, (row) => Math.abs(dz(row, c)));
      expect(Math.abs(total(0) - sum(inRows, (row) => dz(row, c)))).toBeLessThan(TOLERANCE * (1 + size));
      const hats = sum(inRows, (row) => dz(row, c) * of.valueOf(x, row, c, pixels).hat);
      expect(Math.abs(total(1) - hats)).toBeLessThan(TOLERANCE * (1 + 3 * size));
    }
  });

  it.each(some)('filter gradient, added to what is there: %s', async (__, one) => {
    const { geometry, of, source, outRows, weights, inputOf } = prepared(one);
    const { inChannels, outChannels } = one;
    const dy = of.view('dy', outRows, outChannels);
    const { gradient } = of.ranges('gradients', { gradient: Array.from({ length: weights }, () => of.draw(-1, 1)) });
    const before = of.contents.get(gradient.memory)!;
    const call: CallOf<'convFilterGradient'> = {
      kind: 'convFilterGradient',
      node: 'it',
      ...geometry,
      source,
      dy,
      gradient,
    };
    const [found] = await runTwice(bench, kernels, [call], of.contents, [gradient.memory]);
    const expected = Array.from({ length: weights }, (___, i) => before[gradient.offset + i]!);
    const size = new Float64Array(weights);
    for (let row = 0; row < outRows; row++) {
      for (let tap = 0; tap < one.kernel ** 2; tap++) {
        const from = inputOf(row, tap);
        if (from < 0) continue;
        for (let c = 0; c < inChannels; c++) {
          const { value } = of.valueOf(source, from, c, one.height * one.width);
          for (let o = 0; o < outChannels; o++) {
            const term = value * of.at(dy, row, o);
            expected[(tap * inChannels + c) * outChannels + o]! += term;
            size[(tap * inChannels + c) * outChannels + o]! += Math.abs(term);
          }
        }
      }
    }
    const scaled = (values: ArrayLike<number>, first: number): number[] =>
      Array.from(size, (s, i) => values[first + i]! / (1 + s));
    expectRange(
      Float32Array.from(scaled(found!, gradient.offset)),
      { ...gradient, offset: 0 },
      scaled(expected, 0),
      2e-6,
    );
    expectRest(found!, before, [gradient], weights);
  });

  it.runIf(everything || !only || farFromZero)(
    'statistics of values far from zero: mean 1000, deviation 0.01',
    async () => {
      const of = scene(5);
      const [rows, channels] = [70, 8];
      // 16-bit numbers: products with 1 are exact, and the tile's mean is known to the last bit but one.
      const source = {
        view: of.given('source', rows, channels, () => of.draw(-0.02, 0.02)),
        norm: null,
        activation: 'none',
        factor: null,
      } as const;
      const { weight, bias } = of.ranges('parameters', {
        weight: Array.from({ length: channels ** 2 }, (__, i) => (i % (channels + 1) === 0 ? 1 : 0)),
        bias: Array.from({ length: channels }, () => 1000),
      });
      const out = of.view('out', rows, channels);
      const one = { images: 1, height: 1, width: rows, outHeight: 1, outWidth: rows, kernel: 1, stride: 1, padding: 0 };
      const base = { kind: 'conv', node: 'it', ...one, source, weight, bias, out } as const;
      const tileRows = kernels.conv.tileRows!({ ...base, statistics: null });
      const statistics = tilesOf('statistics', rows, channels, tileRows);
      const [found, moments] = await runTwice(bench, kernels, [{ ...base, statistics }], of.contents, [
        out.matrix,
        statistics.matrix,
      ]);
      for (let t = 0; t < statistics.tiles; t++) {
        const count = Math.min(tileRows, rows - t * tileRows);
        for (let c = 0; c < channels; c++) {
          // Of what was written: 1000 ± 0.02 has a grid of 6e-5, sums of 70 of them one of 8e-3.
          const value = (i: number): number => found![(t * tileRows + i) * out.matrix.channels + out.first + c]!;
          const mean = sum(count, value) / count;
          const squares = sum(count, (i) => (value(i) - mean) ** 2);
          expect(Math.abs(moments![2 * t * channels + c]! - mean)).toBeLessThan(2.5e-4);
          expect(Math.abs(moments![(2 * t + 1) * channels + c]! / squares - 1)).toBeLessThan(1e-3);
        }
      }
    },
  );
});

it('programs of one name are one; none binds a memory twice or more than eight', () => {
  const names = new Map<string, string>();
  const chosen = [false, true].map((software) => tilingOf({ software, subgroups: software }));
  for (const tiling of [...tilings.map(({ tiling: each }) => each), ...chosen]) {
    const kernels = tableOf(tiling);
    for (const one of cases) {
      const { geometry, of, source, inRows, outRows, parameters, apart } = prepared(one);
      const dy = of.view('dy', outRows, one.outChannels);
      const out = of.view('dx', inRows, one.inChannels);
      const bias = one.bias === undefined ? null : one.bias === 'apart' ? apart.bias! : parameters.bias!;
      const weight = parameters.weight!;
      const gradient = weight;
      const x = { ...source, factor: null };
      const epilogue = one.norm ? { source: x, sums: tilesOf('sums', inRows, one.inChannels, 8) } : null;
      const base = { node: 'it', ...geometry };
      const dispatches: Dispatch[] = [];
      for (const statistics of [null, tilesOf('statistics', outRows, one.outChannels, 8)]) {
        dispatches.push(
          ...kernels.conv.dispatches({ ...base, kind: 'conv', source, weight, bias, out: dy, statistics }, null),
        );
      }
      dispatches.push(
        ...kernels.convInputGradient.dispatches(
          { ...base, kind: 'convInputGradient', dy, weight, out, accumulate: false, epilogue },
          null,
        ),
        ...kernels.convFilterGradient.dispatches(
          { ...base, kind: 'convFilterGradient', source, dy, gradient },
          matrix('scratch', 1, 4),
        ),
      );
      for (const { program, memories } of dispatches) {
        expect(names.get(program.name) ?? program.code).toBe(program.code);
        names.set(program.name, program.code);
        expect(new Set(memories).size).toBe(memories.length);
        expect(memories.length).toBeLessThanOrEqual(8);
      }
    }
  }
});
