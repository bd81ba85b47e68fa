import type { RgbImage } from '../dataset/types.ts';
import { cos, exp, log, sin, tan } from '../elementary.ts';
import type { AffineMatrix, Augmentation, CropBox, JitterStep } from '../engine/augmentation.ts';
import { random, STREAMS, type Random } from '../random.ts';
import type { AugmentationSettings } from './settings.ts';

/**
 * Counts how a draw's pixels are made; checkpoints carry it. 1, which none of them says: crop and affine in one bilinear warp, by
 * `Math`'s exp, sin and cos. 2: torchvision's steps one after the other, the affine one to the nearest pixel, by those of elementary.ts.
 */
export const AUGMENTATION_FORM = 2;

/** What an image's draws of one epoch come from: they depend neither on the order nor on where a run was resumed. */
export function augmentationDraw(seed: number, epoch: number, imageIndex: number): Random {
  return random(seed, STREAMS.augmentation, epoch, imageIndex);
}

/** About the centre of the crop after its resize; degrees clockwise, translation in output pixels. */
export interface AffineParameters {
  readonly angle: number;
  readonly translate: readonly [number, number];
  readonly scale: number;
  /** Degrees along x and y. */
  readonly shear: readonly [number, number];
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
    const ratio = exp(draw.between(log(low), log(high)));
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

/**
 * What is done to one image: torchvision's RandomResizedCrop, RandomHorizontalFlip, RandomAffine and ColorJitter, in this order. Whether
 * it is mirrored is drawn last: all else is the same with mirroring as without.
 */
export function drawAugmentation(
  image: RgbImage,
  size: number,
  settings: AugmentationSettings,
  draw: Random,
): Augmentation {
  const crop = drawCrop(image.width, image.height, settings, draw);
  const matrix = inverseAffine(size, drawAffine(size, settings, draw));
  const jitter = drawJitter(settings, draw);
  return { crop, matrix, jitter, flip: draw.uniform() < settings.horizontal_flip };
}

/**
 * Output pixel → position in the crop of the same size: torchvision's `_get_inverse_affine_matrix`
 * (torchvision/transforms/functional.py): M = T · C · R(angle) · Shear · Scale · C⁻¹, inverted, with C at the centre.
 */
export function inverseAffine(size: number, { angle, translate, scale, shear }: AffineParameters): AffineMatrix {
  const rotation = (angle * Math.PI) / 180;
  const [sx, sy] = [(shear[0] * Math.PI) / 180, (shear[1] * Math.PI) / 180];
  const a = cos(rotation - sy) / cos(sy);
  const b = (-cos(rotation - sy) * tan(sx)) / cos(sy) - sin(rotation);
  const c = sin(rotation - sy) / cos(sy);
  const d = (-sin(rotation - sy) * tan(sx)) / cos(sy) + cos(rotation);
  const [m0, m1, m3, m4] = [d / scale, -b / scale, -c / scale, a / scale];
  const centre = size / 2;
  const [ox, oy] = [-centre - translate[0], -centre - translate[1]];
  return [m0, m1, m0 * ox + m1 * oy + centre, m3, m4, m3 * ox + m4 * oy + centre];
}
