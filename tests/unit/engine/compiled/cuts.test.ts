import { describe, expect, it } from 'vitest';
import { buildGraph } from '../../../../src/architectures/index.ts';
import type { DeviceTraits } from '../../../../src/engine/compiled/kernels.ts';
import { trainingPlan } from '../../../../src/engine/compiled/plan/training.ts';
import { candidatesOf, chosenOf, tilingBy, tunedTiling } from '../../../../src/engine/compiled/tuning/cuts.ts';
import { classOf, contestsOf, type Shape } from '../../../../src/engine/compiled/tuning/products.ts';
import { versionOf } from '../../../../src/engine/compiled/tuning/version.ts';
import { sharedTiles, tileKey, tiles, tilingOf } from '../../../../src/engine/compiled/wgsl/gemmTiles.ts';
import { wgslKernels } from '../../../../src/engine/compiled/wgsl/kernels.ts';

const gpu: DeviceTraits = { software: false, subgroups: false };
const shape = (kind: Shape['kind'], rows: number, columns: number, depth: number): Shape => ({
  kind,
  rows,
  columns,
  depth,
});

describe('classes of shapes', () => {
  it('put together what differs in channels by less than a tile or, beyond 128, by less than a factor of two', () => {
    expect(classOf(shape('conv', 100_352, 128, 64))).toBe('conv 131072×128×64');
    expect(classOf(shape('conv', 100_352, 128, 96))).toBe('conv 131072×128×96');
    const wide = [129, 160, 224, 256].map((depth) => classOf(shape('conv', 65_537, 97, depth)));
    expect(new Set(wide)).toEqual(new Set(['conv 131072×128×256']));
    expect(classOf(shape('convInputGradient', 1, 1, 1))).toBe('convInputGradient 32×32×32');
    expect(classOf(shape('conv', 32, 33, 257))).toBe('conv 32×64×512');
  });

  it('are few where a network has hundreds of products, and the dearest come first', () => {
    const kernels = wgslKernels(gpu);
    const { calls } = trainingPlan(buildGraph('densenet121', 5), kernels, {
      images: 32,
      imageSize: 224,
      trainable: 'all',
      recompute: false,
    });
    const contests = contestsOf(calls, (call) => kernels[call.kind].cost(call as never).flops);
    expect(contests.length).toBeGreaterThan(30);
    expect(contests.length).toBeLessThan(70);
    expect(new Set(contests.map(({ key }) => key)).size).toBe(contests.length);
    // torchvision's 3×3 convolutions at 56 × 56: 6 layers, 2 · 9 · 128 · 32 operations for each of 32 · 56² pixels.
    const first = contests.find(({ key }) => key === 'conv 131072×32×2048')!;
    expect(first.shape).toEqual(shape('conv', 32 * 56 * 56, 32, 9 * 128));
    expect(first.flops).toBe(2 * 9 * 128 * 32 * 32 * 56 * 56);
    expect(contests.indexOf(first)).toBeLessThan(3);
    expect(contests.at(-1)!.key).toMatch(/ 32×|×32$|×32×/);
  });
});

describe('cuts', () => {
  it('that are tried waste no half of their work, and of a filter say how many workgroups are enough', () => {
    for (const [one, kind] of [
      [shape('conv', 100_352, 32, 1152), 'conv'],
      [shape('convFilterGradient', 1152, 32, 100_352), 'convFilterGradient'],
    ] as const) {
      const names = candidatesOf(one);
      expect(names.length).toBeGreaterThan(0);
      for (const name of names) {
        const columns = Number(/x(\d+)-/.exec(name)![1]);
        expect(columns, name).toBe(32);
        expect(/\/\d+$/.test(name), name).toBe(kind === 'convFilterGradient');
      }
    }
  });

  it('are what a tiling says for all of their class, and the default for all others and for names that nobody knows', () => {
    const usual = tilingOf(gpu);
    const name = tileKey(sharedTiles[0]!);
    const tuned = tunedTiling(
      usual,
      {
        'conv 131072×128×256': name,
        'convFilterGradient 256×128×131072': `${name}/1024`,
        'conv 131072×128×512': null,
        'conv 131072×128×64': 'shared9x9-1x1',
        'conv 131072×128×96': 'lanes8',
      },
      gpu,
    );
    expect(tuned.product({ kind: 'conv', rows: 100_352, columns: 128, depth: 160 })).toEqual(sharedTiles[0]);
    expect(tuned.filter({ rows: 160, columns: 128, depth: 100_352 })).toEqual({ tile: sharedTiles[0], enough: 1024 });
    for (const other of [
      { kind: 'convInputGradient', rows: 100_352, columns: 128, depth: 160 },
      { kind: 'conv', rows: 100_352, columns: 128, depth: 500 },
      { kind: 'conv', rows: 100_352, columns: 128, depth: 64 },
      { kind: 'conv', rows: 100_352, columns: 128, depth: 96 },
    ] as const) {
      expect(tuned.product(other)).toEqual(usual.product(other));
    }
    const able = tunedTiling(usual, { 'conv 131072×128×96': 'lanes8' }, { software: false, subgroups: true });
    expect(able.product({ kind: 'conv', rows: 100_352, columns: 128, depth: 96 })).toEqual(tiles.lanes8);
    expect(() => tilingBy('lanes8', gpu)).toThrow('lanes8');
  });

  it('are read back as they were written, and nothing else is', () => {
    const chosen = { 'conv 32×32×32': 'lanes8', 'conv 64×32×32': null };
    expect(chosenOf(JSON.parse(JSON.stringify(chosen)))).toEqual(chosen);
    expect(chosenOf({ ...chosen, a: 3, b: { c: 1 } })).toEqual(chosen);
    for (const other of [undefined, null, 'text', 7, []]) expect(chosenOf(other)).toEqual({});
  });

  it('have a version that is another one for every other set of kernels', () => {
    const [first, second] = sharedTiles;
    const version = versionOf(gpu, [first!], 'float32');
    expect(version).toMatch(/^[0-9a-f]{8}$/);
    expect(versionOf(gpu, [first!], 'float32')).toBe(version);
    const able = { software: true, subgroups: true };
    const others = [
      versionOf(gpu, [first!, second!], 'float32'),
      versionOf(able, [first!], 'float32'),
      versionOf(able, [tiles.lanes8], 'float32'),
      versionOf(gpu, [first!], 'float16'),
    ];
    expect(new Set([version, ...others]).size).toBe(5);
  });
});
