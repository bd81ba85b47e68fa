import { evaluationCrop, resize } from '../dataset/geometry.ts';
import type { DataSettings } from '../dataset/settings.ts';
import type { RgbImage } from '../dataset/types.ts';
import { random, STREAMS, type Random } from '../random.ts';
import type { AugmentationSettings } from './settings.ts';

/** What an image's draws of one epoch come from: they depend neither on the order nor on where a run was resumed. */
export function augmentationDraw(seed: number, epoch: number, imageIndex: number): Random {
  return random(seed, STREAMS.augmentation, epoch, imageIndex);
}

/** The part of the image that is kept, in its pixels. */
export interface CropBox {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** About the centre of the crop after its resize; degrees counter-clockwise, translation in output pixels. */
export interface AffineParameters {
  readonly angle: number;
  readonly translate: readonly [number, number];
  readonly scale: number;
  /** Degrees along x and y. */
  readonly shear: readonly [number, number];
}

export type JitterStep = readonly ['brightness' | 'contrast' | 'saturation', number];

export interface AugmentationParameters {
  readonly crop: CropBox;
  readonly affine: AffineParameters;
  /** In the order in which they are applied, each with its factor. */
  readonly jitter: readonly JitterStep[];
}

/**
 * torchvision 0.14's `RandomResizedCrop.get_params`: an area and a ratio, ten tries, else the largest central crop
 * within the ratio's bounds.
 */
export function drawCrop(width: number, height: number, settings: AugmentationSettings, draw: Random): CropBox {
  const area = width * height;
  const [low, high] = settings.crop_ratio;
  for (let attempt = 0; attempt < 10; attempt++) {
    const target = area * draw.between(...settings.crop_scale);
    const ratio = Math.exp(draw.between(Math.log(low), Math.log(high)));
    const w = Math.round(Math.sqrt(target * ratio));
    const h = Math.round(Math.sqrt(target / ratio));
    if (w > 0 && w <= width && h > 0 && h <= height) {
      return { top: draw.integer(height - h + 1), left: draw.integer(width - w + 1), height: h, width: w };
    }
  }
  const shape = width / height;
  const w = shape > high ? Math.round(height * high) : width;
  const h = shape < low ? Math.round(width / low) : height;
  return { top: Math.floor((height - h) / 2), left: Math.floor((width - w) / 2), height: h, width: w };
}

/** `RandomAffine.get_params` on the crop of `size` pixels. */
export function drawAffine(size: number, settings: AugmentationSettings, draw: Random): AffineParameters {
  const angle = draw.between(-settings.degrees, settings.degrees);
  const reach = settings.translate * size;
  const tx = Math.round(draw.between(-reach, reach));
  const ty = Math.round(draw.between(-reach, reach));
  const scale = draw.between(...settings.scale);
  return { angle, translate: [tx, ty], scale, shear: [draw.between(-settings.shear, settings.shear), 0] };
}

/** `ColorJitter.get_params`: factors uniform in [max(0, 1 − v), 1 + v], in random order. */
export function drawJitter(settings: AugmentationSettings, draw: Random): JitterStep[] {
  const order = draw.shuffle([
    'brightness',
    'contrast',
    'saturation',
  ] as const satisfies JitterStep[0][] as JitterStep[0][]);
  return order
    .filter((kind) => settings[kind] > 0)
    .map((kind) => [kind, draw.between(Math.max(0, 1 - settings[kind]), 1 + settings[kind])] as const);
}

export function drawParameters(
  image: RgbImage,
  size: number,
  settings: AugmentationSettings,
  draw: Random,
): AugmentationParameters {
  return {
    crop: drawCrop(image.width, image.height, settings, draw),
    affine: drawAffine(size, settings, draw),
    jitter: drawJitter(settings, draw),
  };
}

/**
 * Output pixel → position in the crop of the same size: torchvision's `_get_inverse_affine_matrix`
 * (torchvision/transforms/functional.py): M = T · C · R(angle) · Shear · Scale · C⁻¹, inverted, with C at the centre.
 * Six numbers, row-major: x' = m0 x + m1 y + m2, y' = m3 x + m4 y + m5, in coordinates where a pixel's centre is at + 0.5.
 */
export function inverseAffine(size: number, { angle, translate, scale, shear }: AffineParameters): Float64Array {
  const rotation = (angle * Math.PI) / 180;
  const [sx, sy] = [(shear[0] * Math.PI) / 180, (shear[1] * Math.PI) / 180];
  const a = Math.cos(rotation - sy) / Math.cos(sy);
  const b = (-Math.cos(rotation - sy) * Math.tan(sx)) / Math.cos(sy) - Math.sin(rotation);
  const c = Math.sin(rotation - sy) / Math.cos(sy);
  const d = (-Math.sin(rotation - sy) * Math.tan(sx)) / Math.cos(sy) + Math.cos(rotation);
  const [m0, m1, m3, m4] = [d / scale, -b / scale, -c / scale, a / scale];
  const centre = size / 2;
  const [ox, oy] = [-centre - translate[0], -centre - translate[1]];
  return Float64Array.of(m0, m1, m0 * ox + m1 * oy + centre, m3, m4, m3 * ox + m4 * oy + centre);
}

/** Above this many source pixels to an output pixel the crop is first reduced with antialiasing. */
const ANTIALIAS_FROM = 1.25;

/**
 * Crop, resize and affine as one bilinear warp: `[size, size, 3]`, 0–255. What the affine brings in from outside the crop
 * is black, as torchvision's `fill=0`.
 */
export function warp(image: RgbImage, size: number, crop: CropBox, affine: AffineParameters): Float32Array {
  if (Math.max(crop.width, crop.height) > ANTIALIAS_FROM * size) {
    const reduced = resize(cut(image, crop), size, size);
    return warp(reduced, size, { top: 0, left: 0, height: size, width: size }, affine);
  }
  const m = inverseAffine(size, affine);
  const [m0, m1, m2, m3, m4, m5] = m as unknown as [number, number, number, number, number, number];
  const { width, data } = image;
  const kx = crop.width / size;
  const ky = crop.height / size;
  const right = crop.width - 1;
  const bottom = crop.height - 1;
  const out = new Float32Array(size * size * 3);
  for (let y = 0, o = 0; y < size; y++) {
    for (let x = 0; x < size; x++, o += 3) {
      const u = m0 * (x + 0.5) + m1 * (y + 0.5) + m2;
      const v = m3 * (x + 0.5) + m4 * (y + 0.5) + m5;
      if (u < 0 || v < 0 || u >= size || v >= size) continue;
      const sx = Math.min(Math.max(u * kx - 0.5, 0), right);
      const sy = Math.min(Math.max(v * ky - 0.5, 0), bottom);
      const x0 = Math.floor(sx);
      const y0 = Math.floor(sy);
      const fx = sx - x0;
      const fy = sy - y0;
      const top = ((crop.top + y0) * width + crop.left + x0) * 3;
      const toRight = x0 < right ? 3 : 0;
      const below = y0 < bottom ? top + width * 3 : top;
      for (let c = 0; c < 3; c++) {
        const a = data[top + c] as number;
        const b = data[below + c] as number;
        const upper = a + ((data[top + toRight + c] as number) - a) * fx;
        const lower = b + ((data[below + toRight + c] as number) - b) * fx;
        out[o + c] = upper + (lower - upper) * fy;
      }
    }
  }
  return out;
}

function cut(image: RgbImage, { top, left, height, width }: CropBox): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * 3;
    data.set(image.data.subarray(from, from + width * 3), y * width * 3);
  }
  return { width, height, data };
}

const grey = (rgb: Float32Array, i: number): number =>
  0.299 * (rgb[i] as number) + 0.587 * (rgb[i + 1] as number) + 0.114 * (rgb[i + 2] as number);

/** torchvision's adjust_brightness, adjust_contrast, adjust_saturation: blends with black, the mean grey, the grey image. In place. */
export function applyJitter(rgb: Float32Array, steps: readonly JitterStep[]): void {
  for (const [kind, factor] of steps) {
    let mean = 0;
    if (kind === 'contrast') {
      for (let i = 0; i < rgb.length; i += 3) mean += grey(rgb, i);
      mean /= rgb.length / 3;
    }
    for (let i = 0; i < rgb.length; i += 3) {
      const other = kind === 'brightness' ? 0 : kind === 'contrast' ? mean : grey(rgb, i);
      const base = (1 - factor) * other;
      for (let c = 0; c < 3; c++) {
        const value = base + factor * (rgb[i + c] as number);
        rgb[i + c] = value < 0 ? 0 : value > 255 ? 255 : value;
      }
    }
  }
}

/** One training image, `[size, size, 3]`, 0–255: augmented with what `draw` gives, or as evaluation sees it. */
export function trainingPixels(
  image: RgbImage,
  size: number,
  geometry: DataSettings['geometry'],
  settings: AugmentationSettings,
  draw: Random,
): ArrayLike<number> {
  if (!settings.enabled) return evaluationCrop(image, size, geometry).data;
  const { crop, affine, jitter } = drawParameters(image, size, settings, draw);
  const pixels = warp(image, size, crop, affine);
  applyJitter(pixels, jitter);
  return pixels;
}
