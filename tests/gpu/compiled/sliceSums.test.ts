import { beforeAll, describe, expect, it } from 'vitest';
import type { CallOf, SliceSums } from '../../../src/engine/compiled/calls.ts';
import { matrix } from '../../../src/engine/compiled/memory.ts';
import { convFilterGradientKernel } from '../../../src/engine/compiled/wgsl/convFilterGradient.ts';
import { depthwiseFilterGradientKernel } from '../../../src/engine/compiled/wgsl/depthwiseFilterGradient.ts';
import { tiles } from '../../../src/engine/compiled/wgsl/gemmTiles.ts';
import { sliceSumsKernel } from '../../../src/engine/compiled/wgsl/sliceSums.ts';
import { runTwice } from './support/repeated.ts';
import { openBench, type Bench } from './support/runCalls.ts';
import { sameBits } from './support/sameBits.ts';
import { scene } from './support/scene.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});

describe.each([false, true])('slices of filters, on a software adapter: %s', (software) => {
  const kernels = { sliceSums: sliceSumsKernel({ software }) };

  it('of a few or hundreds of slices, of dozens or many thousands of floats, more of them than a dispatch takes', async () => {
    const s = scene(11);
    const sizes: readonly (readonly [count: number, floats: number])[] = [
      [512, 36],
      [2, 40_000],
      [15, 1_152],
      [301, 4],
      [1, 20],
      [64, 3_000],
      ...Array.from({ length: 13 }, (_, i) => [i + 2, 4 * (3 * i + 1)] as const),
    ];
    const total = sizes.reduce((sum, [count, floats]) => sum + count * floats, 0);
    const before = 8;
    // Whole numbers: sums are exact, in whichever order.
    const slices = matrix('slices', 1, before + total);
    const values = Float32Array.from({ length: slices.floats }, (_, i) =>
      i < before ? Number.NaN : ((i * 7919) % 201) - 100,
    );
    const gaps = 4;
    const gradients = matrix(
      'gradients',
      1,
      sizes.reduce((sum, [, floats]) => sum + floats + gaps, 0),
    );
    const start = Float32Array.from({ length: gradients.floats }, (_, i) => (i * 31) % 17);
    let [first, offset] = [before, 0];
    const filters = sizes.map(([count, floats]) => {
      const filter = { first, count, floats, gradient: { memory: gradients, offset } };
      first += count * floats;
      offset += floats + gaps;
      return filter;
    });
    const call: SliceSums = { kind: 'sliceSums', node: 'it', slices, filters };
    const contents = new Map([...s.contents, [slices, values] as const, [gradients, start] as const]);
    const [found] = await runTwice(bench, kernels, [call], contents, [gradients]);
    const expected = start.slice();
    for (const filter of filters) {
      for (let i = 0; i < filter.floats; i++) {
        for (let slice = 0; slice < filter.count; slice++) {
          expected[filter.gradient.offset + i]! += values[filter.first + slice * filter.floats + i]!;
        }
      }
    }
    sameBits([found!], [expected]);
    expect(kernels.sliceSums.dispatches(call, null)).toHaveLength(2);
  });
});

describe('what is left to be added up later', () => {
  const tiling = { product: () => tiles.lanes16, filter: () => ({ tile: tiles.lanes16, enough: 64 }) };
  const kernels = {
    convFilterGradient: convFilterGradientKernel(tiling),
    depthwiseFilterGradient: depthwiseFilterGradientKernel({ filterColumns: 2 }),
    sliceSums: sliceSumsKernel({ software: false }),
  };

  it.each(['convFilterGradient', 'depthwiseFilterGradient'] as const)(
    'by %s, of two filters in one memory, is what each adds up at once, to the bit',
    async (kind) => {
      const s = scene(12);
      const [images, side, channels] = [2, 21, 8];
      const geometry = {
        images,
        height: side,
        width: side,
        outHeight: side,
        outWidth: side,
        kernel: 3,
        stride: 1,
        padding: 1,
      };
      const floats = 9 * channels * (kind === 'convFilterGradient' ? channels : 1);
      const zeros = Array.from({ length: floats }, () => 0);
      const { one, two } = s.ranges('gradients', { one: zeros, two: zeros });
      const calls = [one!, two!].map(
        (gradient, i) =>
          ({
            kind,
            node: 'it',
            ...geometry,
            source: s.source(`source ${i}`, images, side * side, channels, { norm: true, activation: 'relu' }),
            dy: s.view(`dy ${i}`, images * side * side, channels),
            gradient,
          }) as CallOf<'convFilterGradient'>,
      );
      const [atOnce] = await runTwice(bench, kernels, calls, s.contents, [one!.memory]);
      const count = kernels[kind].slices!(calls[0] as never);
      expect(count).toBeGreaterThan(2);
      const slices = matrix('slices', 1, 4 + 2 * count * floats);
      const filters = calls.map(({ gradient }, i) => ({ first: 4 + i * count * floats, count, floats, gradient }));
      const [later] = await runTwice(
        bench,
        kernels,
        [
          ...calls.map((call, i) => ({ ...call, slices: { memory: slices, first: filters[i]!.first } })),
          { kind: 'sliceSums', node: 'it', slices, filters },
        ],
        s.contents,
        [one!.memory],
      );
      expect(atOnce!.some((value) => value !== 0)).toBe(true);
      sameBits([later!], [atOnce!]);
    },
  );
});
