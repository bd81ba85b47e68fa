import { describe, expect, it } from 'vitest';
import type { AugmentationSettings } from '../../../src/training/settings.ts';
import {
  augmentationDraw,
  drawAffine,
  drawAugmentation,
  drawCrop,
  drawJitter,
} from '../../../src/training/augmentation.ts';
import type { Random } from '../../../src/random.ts';
import draws from '../../fixtures/draws.json' with { type: 'json' };
import { judged } from '../support/judged.ts';
import { chiSquare, kolmogorovSmirnov } from '../support/twoSamples.ts';

/**
 * What is drawn has torchvision's distributions: 20,000 draws against 20,000 of its own (tests/python/make_draws.py). Seeds are fixed
 * on both sides, so the outcome is, too. And a distribution that is wrong in a way that one could get it wrong is found out.
 */
const DRAWS = 20_000;

interface Distribution {
  readonly draws: number;
  readonly quantities: Readonly<Record<string, { readonly at: readonly number[]; readonly below: readonly number[] }>>;
  readonly pairs: readonly {
    readonly of: readonly string[];
    readonly at: readonly (readonly number[])[];
    readonly counts: readonly (readonly number[])[];
  }[];
}
type Drawn = Record<string, number>;

const nothing: AugmentationSettings = {
  enabled: true,
  crop_scale: [1, 1],
  crop_ratio: [1, 1],
  degrees: 0,
  translate: 0,
  scale: [1, 1],
  shear: 0,
  brightness: 0,
  contrast: 0,
  saturation: 0,
  horizontal_flip: 0,
};

function sample<T>(one: (draw: Random) => T): T[] {
  return Array.from({ length: DRAWS }, (_, i) => one(augmentationDraw(42, 1, i)));
}

/** How far apart, of each quantity and each pair; above 1 it is no chance. */
function apart(drawn: readonly Drawn[], { draws: count, quantities, pairs }: Distribution): Record<string, number> {
  const singles = Object.entries(quantities).map(([name, { at, below }]) => {
    const ours = Float64Array.from(drawn, (one) => one[name]!).sort();
    const notAbove = at.map((value) => ours.filter((one) => one <= value).length);
    const asSums = kolmogorovSmirnov(notAbove, below, ours.length, count);
    const asBins = chiSquare(differences(notAbove, ours.length), differences(below, count));
    return [name, Math.max(asSums, asBins)] as const;
  });
  const joint = pairs.map(({ of: [one, other], at, counts }) => {
    const cell = (value: number, edges: readonly number[]) => edges.filter((edge) => value > edge).length;
    const ours = counts.map((row) => row.map(() => 0));
    for (const each of drawn) ours[cell(each[one!]!, at[0]!)]![cell(each[other!]!, at[1]!)]!++;
    return [`${one} with ${other}`, chiSquare(ours.flat(), counts.flat())] as const;
  });
  return Object.fromEntries([...singles, ...joint]);
}

function differences(below: readonly number[], all: number): number[] {
  return [...below, all].map((count, i) => count - (below[i - 1] ?? 0));
}

function judge(name: string, found: Record<string, number>): void {
  for (const [quantity, share] of Object.entries(found)) expect(share, `${name}: ${quantity}`).toBeLessThan(1);
  judged({
    quantity: `draws, ${name}: furthest from torchvision’s, of what chance gives once in 1,000 times`,
    network: '—',
    on: 'processor',
    error: Math.max(...Object.values(found)),
    tolerance: 1,
    command: 'npm test -- augmentationDraws',
  });
}

const named = <T>(prefix: string): [string, T][] =>
  Object.entries(draws).filter(([name]) => name.startsWith(prefix)) as unknown as [string, T][];

interface Crop extends Distribution {
  readonly settings: Pick<AugmentationSettings, 'crop_scale' | 'crop_ratio'>;
  readonly source: readonly [number, number];
}
type Box = ReturnType<typeof drawCrop>;

function measured({ top, left, width, height }: Box, [across, down]: readonly [number, number]): Drawn {
  return {
    width,
    height,
    area: width * height,
    ratio: width / height,
    left: (left + 0.5) / (across - width + 1),
    top: (top + 0.5) / (down - height + 1),
  };
}

describe('RandomResizedCrop', () => {
  it.each(named<Crop>('crop'))('%s', (name, theirs) => {
    const [width, height] = theirs.source;
    const boxes = sample((draw) => drawCrop(width, height, { ...nothing, ...theirs.settings }, draw));
    judge(
      name,
      apart(
        boxes.map((box) => measured(box, theirs.source)),
        theirs,
      ),
    );
  });

  it('takes the largest central box within the ratios where no other fits', () => {
    const settings = { ...nothing, crop_scale: [0.9, 1] } satisfies AugmentationSettings;
    expect(drawCrop(200, 100, settings, augmentationDraw(42, 1, 1))).toEqual({
      top: 0,
      left: 50,
      width: 100,
      height: 100,
    });
  });

  it('a wrong one is found out', () => {
    const theirs = draws['crop, square, wide'] as unknown as Crop;
    const [side] = theirs.source;
    const [low, high] = theirs.settings.crop_ratio;
    /** One try is enough to be wrong. */
    const with_ = (change: {
      area?: (u: number) => number;
      ratio?: (u: number) => number;
      at?: (draw: Random) => number;
    }) =>
      apart(
        sample((draw) => {
          for (;;) {
            const area = (change.area ?? ((u) => 0.08 + 0.92 * u))(draw.uniform()) * side * side;
            const ratio = (change.ratio ?? ((u) => low * (high / low) ** u))(draw.uniform());
            const width = Math.round(Math.sqrt(area * ratio));
            const height = Math.round(Math.sqrt(area / ratio));
            if (width > side || height > side) continue;
            const at = change.at ?? (() => draw.uniform());
            const [top, left] = [at(draw), at(draw)].map((u, i) => Math.floor(u * (side - [height, width][i]! + 1)));
            return measured({ top: top!, left: left!, width, height }, theirs.source);
          }
        }),
        theirs,
      );
    expect(Math.max(...Object.values(with_({})))).toBeLessThan(1);
    expect(with_({ ratio: (u) => low + (high - low) * u })['ratio']).toBeGreaterThan(1);
    expect(with_({ area: (u) => (Math.sqrt(0.08) + (1 - Math.sqrt(0.08)) * u) ** 2 })['area']).toBeGreaterThan(1);
    const central = with_({ at: (draw) => (draw.uniform() + draw.uniform()) / 2 });
    expect(central['left']).toBeGreaterThan(1);
    expect(central['top']).toBeGreaterThan(1);
  });
});

interface Affine extends Distribution {
  readonly settings: Pick<AugmentationSettings, 'degrees' | 'translate' | 'scale' | 'shear'>;
  readonly size: number;
}

describe('RandomAffine', () => {
  const flat = ({ angle, translate: [x, y], scale, shear }: ReturnType<typeof drawAffine>): Drawn => {
    if (shear[1] !== 0 || !Number.isInteger(x)) throw new Error('Sheared along y, or moved by part of a pixel.');
    return { angle, x, y, scale, shear: shear[0] };
  };
  const ours = ({ size, settings }: Affine) => sample((draw) => drawAffine(size, { ...nothing, ...settings }, draw));

  it.each(named<Affine>('affine'))('%s', (name, theirs) => {
    judge(name, apart(ours(theirs).map(flat), theirs));
  });

  it('a wrong one is found out', () => {
    const theirs = draws['affine, wide'] as unknown as Affine;
    const drawn = ours(theirs).map(flat);
    const reach = theirs.settings.translate * theirs.size;
    const other = sample((draw) => draw.between(-reach, reach));
    const with_ = (change: (one: Drawn, i: number) => Drawn) =>
      apart(
        drawn.map((one, i) => ({ ...one, ...change(one, i) })),
        theirs,
      );
    expect(with_((_, i) => ({ x: other[i]! }))['x'], 'not in whole pixels').toBeGreaterThan(1);
    expect(with_((_, i) => ({ x: Math.trunc(other[i]!) }))['x'], 'cut, not rounded').toBeGreaterThan(1);
    expect(with_(({ x }) => ({ y: x! }))['x with y'], 'the same both ways').toBeGreaterThan(1);
    expect(
      with_(({ scale }) => ({ scale: Math.exp(Math.log(0.5) + (Math.log(4) * (scale! - 0.5)) / 1.5) }))['scale'],
      'log-uniform',
    ).toBeGreaterThan(1);
    expect(with_(({ angle }) => ({ angle: angle! * 0.95 }))['angle']).toBeGreaterThan(1);
    expect(with_(({ shear }) => ({ shear: Math.abs(shear!) }))['shear']).toBeGreaterThan(1);
  });
});

interface Jitter extends Distribution {
  readonly settings: Pick<AugmentationSettings, 'brightness' | 'contrast' | 'saturation'>;
  readonly orders: Readonly<Record<string, number>>;
}
type Steps = ReturnType<typeof drawJitter>;

describe('ColorJitter', () => {
  const ordered = (steps: readonly Steps[], { orders }: Jitter): number => {
    const names = Object.keys(orders);
    const counts = names.map(() => 0);
    for (const one of steps) counts[names.indexOf(one.map(([kind]) => kind).join(' '))]!++;
    // What torchvision never draws would be counted nowhere.
    expect(counts.reduce((a, b) => a + b)).toBe(steps.length);
    return chiSquare(counts, Object.values(orders));
  };
  const ours = ({ settings }: Jitter) => sample((draw) => drawJitter({ ...nothing, ...settings }, draw));
  const factors = (steps: readonly Steps[]) => steps.map((one) => Object.fromEntries(one) as Drawn);

  it.each(named<Jitter>('jitter'))('%s', (name, theirs) => {
    const steps = ours(theirs);
    judge(name, { order: ordered(steps, theirs), ...apart(factors(steps), theirs) });
  });

  it('a wrong one is found out', () => {
    const theirs = draws['jitter, default'] as unknown as Jitter;
    const steps = ours(theirs);
    const always = steps.map((one) => one.toSorted(([a], [b]) => a.localeCompare(b)));
    expect(ordered(always, theirs), 'always in one order').toBeGreaterThan(1);
    const naive = sample((draw) => {
      // Each item swapped with any other: 27 ways to 6 orders.
      const one: Steps = [
        ['brightness', 1],
        ['contrast', 1],
        ['saturation', 1],
      ];
      for (let i = 0; i < 3; i++) {
        const j = draw.integer(3);
        [one[i], one[j]] = [one[j]!, one[i]!];
      }
      return one;
    });
    expect(ordered(naive, theirs), 'a shuffle that is none').toBeGreaterThan(1);
    const inverse = factors(steps).map((one) => ({ ...one, contrast: 1 / one['contrast']! }));
    expect(apart(inverse, theirs)['contrast']).toBeGreaterThan(1);
    const same = factors(steps).map((one) => ({ ...one, contrast: one['brightness']! }));
    expect(apart(same, theirs)['brightness with contrast']).toBeGreaterThan(1);
  });
});

describe('RandomHorizontalFlip', () => {
  const theirs = draws.flip;
  const image = { width: 4, height: 4, data: new Uint8Array(48) };
  const flipped = (share: number): number => {
    const settings = { ...nothing, horizontal_flip: share };
    const count = sample((draw) => drawAugmentation(image, 4, settings, draw)).filter(({ flip }) => flip).length;
    return chiSquare([count, DRAWS - count], [theirs.mirrored, theirs.draws - theirs.mirrored]);
  };

  it('mirrors as often', () => {
    judge('flip', { flip: flipped(theirs.settings.horizontal_flip) });
    expect(flipped(0.33)).toBeGreaterThan(1);
  });

  it('never at 0 and always at 1, and moves no other draw', () => {
    const settings = {
      ...nothing,
      crop_scale: [0.5, 1],
      degrees: 20,
      brightness: 0.4,
      contrast: 0.4,
    } satisfies AugmentationSettings;
    for (let i = 0; i < 100; i++) {
      const [never, always] = [0, 1].map((horizontal_flip) =>
        drawAugmentation(image, 4, { ...settings, horizontal_flip }, augmentationDraw(42, 1, i)),
      );
      expect(never!.flip).toBe(false);
      expect(always).toEqual({ ...never, flip: true });
    }
  });
});
