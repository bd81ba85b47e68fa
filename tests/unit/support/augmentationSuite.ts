import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Augmentation, CropBox, JitterStep, Picture } from '../../../src/engine/augmentation.ts';
import { inverseAffine, type AffineParameters } from '../../../src/training/augmentation.ts';
import { distance } from './engineSuites.ts';
import { signed } from './formulaWeights.ts';
import { judged } from './judged.ts';

/** By torchvision 0.14: tests/python/make_augmentation.py. */
interface Stored {
  readonly picture: string;
  readonly width: number;
  readonly height: number;
  readonly size: number;
  readonly crop: CropBox;
  readonly flip: boolean;
  readonly affine: AffineParameters;
  readonly jitter: readonly JitterStep[];
  readonly matrix: readonly number[];
  readonly pil: string;
  readonly exact: string;
}

export interface AugmentationCase extends Stored {
  readonly name: string;
  readonly source: Picture;
  readonly augmentation: Augmentation;
  /** 0–255, `[size, size, 3]`: on PIL images, rounded after each step; and on float64 tensors. */
  readonly onPil: Uint8Array;
  readonly onTensors: Float64Array;
}

const stored = JSON.parse(readFileSync(new URL('../../fixtures/augmentation.json', import.meta.url), 'utf8')) as Record<
  string,
  Stored
>;

export const augmentationCases: readonly AugmentationCase[] = Object.entries(stored).map(([name, one]) => {
  const exact = Buffer.from(one.exact, 'base64');
  return {
    name,
    ...one,
    source: picture(one.picture, one.width, one.height),
    augmentation: { ...one, matrix: inverseAffine(one.size, one.affine) },
    onPil: new Uint8Array(Buffer.from(one.pil, 'base64')),
    onTensors: Float64Array.from({ length: exact.length / 2 }, (_, i) => exact.readUInt16LE(2 * i) / 257),
  };
});

/** As `picture` in make_augmentation.py. */
function picture(name: string, width: number, height: number): Picture {
  const data = new Uint8Array(width * height * 3);
  const columns = Math.ceil(width / 8);
  const coarse = signed(`${name} coarse`, Math.ceil(height / 8) * columns * 3);
  const fine = signed(`${name} fine`, data.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const cell = ((y >> 3) * columns + (x >> 3)) * 3;
      for (let c = 0; c < 3; c++, i++) {
        data[i] = name === 'grey' ? ((x * 2731 + y * 1543) % 65536) >> 8 : 128 + 80 * coarse[cell + c]! + 47 * fine[i]!;
      }
    }
  }
  return { width, height, data };
}

/**
 * What rounding to 8 bits after each step can cost a pixel, levels: a half for each pass of the resize, up to a whole one for each
 * colour step, which PIL cuts off; colour steps scale what came before. PIL takes grey and its mean as whole numbers.
 * A thousandth for what float32 rounds.
 */
function lostByRounding({ jitter }: AugmentationCase): number {
  return jitter.reduce((lost, [kind, factor]) => {
    const other = kind === 'brightness' ? 0 : lost + (kind === 'contrast' ? 1 : 0.5);
    return factor * lost + Math.abs(1 - factor) * other + 1;
  }, 1.001);
}

/**
 * `augment` gives 0–255, `[size, size, 3]`, for pictures of one size. It must be torchvision's result on float64 tensors but for its own
 * rounding (1e-5 of the range is that of the fixture), and differ from that on PIL images by no more than PIL's rounding.
 */
export function augmentationSuite(
  on: 'processor' | 'webgpu',
  command: string,
  tolerance: number,
  augment: (cases: readonly AugmentationCase[], size: number) => Promise<Float32Array>,
): void {
  describe('given parameters, the picture is torchvision’s', () => {
    const sizes = [...new Set(augmentationCases.map(({ size }) => size))];
    const found = new Map<AugmentationCase, Float32Array>();
    const all = async () => {
      if (found.size > 0) return found;
      for (const size of sizes) {
        const cases = augmentationCases.filter((one) => one.size === size);
        const pixels = await augment(cases, size);
        const each = size * size * 3;
        expect(pixels.length).toBe(cases.length * each);
        cases.forEach((one, i) => found.set(one, pixels.subarray(i * each, (i + 1) * each)));
      }
      return found;
    };

    it('on float64 tensors', async () => {
      let error = 0;
      for (const [{ name, onTensors }, pixels] of await all()) {
        const apart = distance(pixels, onTensors) / 255;
        expect(apart, name).toBeLessThan(tolerance);
        error = Math.max(error, apart);
      }
      judged({
        quantity: 'augmented images, given parameters, of the range; torchvision on float64 tensors',
        network: '—',
        on,
        error,
        tolerance,
        command,
      });
    });

    it('on PIL images, but for their rounding after each step', async () => {
      let share = 0;
      for (const [one, pixels] of await all())
        share = Math.max(share, distance(pixels, one.onPil) / lostByRounding(one));
      judged({
        quantity: 'augmented images, given parameters, of what PIL’s rounding can cost; torchvision on PIL images',
        network: '—',
        on,
        error: share,
        tolerance: 1,
        command,
      });
    });
  });
}
