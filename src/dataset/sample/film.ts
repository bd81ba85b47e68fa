import type { Random } from '../../random.ts';
import type { Shape } from './shapes.ts';

/** X-ray attenuation per pixel, `[side, side]`, 0 (air) upwards. */
export interface Film {
  readonly side: number;
  readonly mass: Float64Array;
}

/** Pixel → shape coordinates: `u = a·x + b·y + c`, `v = d·x + e·y + f`; `unit`: pixels a unit of shape coordinates. */
export interface Placement {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly e: number;
  readonly f: number;
  readonly unit: number;
}

/** Pixel coordinates themselves, for what is placed on the film directly. */
export const onFilm: Placement = { a: 1, b: 0, c: 0, d: 0, e: 1, f: 0, unit: 1 };

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Adds `mass` where the shape is, edges antialiased over one pixel; pixels outside `box` stay as they are. */
export function add(film: Film, shape: Shape, mass: number, placement: Placement, box: Box): void {
  const { a, b, c, d, e, f, unit } = placement;
  const left = Math.max(0, Math.floor(box.left));
  const right = Math.min(film.side - 1, Math.ceil(box.right));
  const top = Math.max(0, Math.floor(box.top));
  const bottom = Math.min(film.side - 1, Math.ceil(box.bottom));
  for (let y = top; y <= bottom; y++) {
    const u0 = b * y + c;
    const v0 = e * y + f;
    for (let x = left; x <= right; x++) {
      const cover = 0.5 - shape(a * x + u0, d * x + v0) * unit;
      if (cover > 0) {
        const i = y * film.side + x;
        film.mass[i] = (film.mass[i] as number) + mass * (cover < 1 ? cover : 1);
      }
    }
  }
}

/** Sets each pixel to the larger of itself and the shape's cover (0…1): pieces of one line overlap without a seam. */
export function raise(film: Film, shape: Shape, box: Box): void {
  const right = Math.min(film.side - 1, Math.ceil(box.right));
  const bottom = Math.min(film.side - 1, Math.ceil(box.bottom));
  for (let y = Math.max(0, Math.floor(box.top)); y <= bottom; y++) {
    for (let x = Math.max(0, Math.floor(box.left)); x <= right; x++) {
      const cover = Math.min(1, 0.5 - shape(x, y));
      const i = y * film.side + x;
      if (cover > at(film.mass, i)) film.mass[i] = cover;
    }
  }
}

/** Smooth random clouds in [−amount, amount]: bilinear between the knots of a grid of `cells` × `cells`. */
export function addClouds(film: Film, cells: number, amount: number, random: Random): void {
  const knots = Float64Array.from({ length: (cells + 1) * (cells + 1) }, () => random.between(-amount, amount));
  for (let y = 0; y < film.side; y++) {
    const gy = (y * cells) / film.side;
    const iy = Math.floor(gy);
    const ty = smooth(gy - iy);
    for (let x = 0; x < film.side; x++) {
      const gx = (x * cells) / film.side;
      const ix = Math.floor(gx);
      const tx = smooth(gx - ix);
      const k = iy * (cells + 1) + ix;
      const upper = at(knots, k) * (1 - tx) + at(knots, k + 1) * tx;
      const lower = at(knots, k + cells + 1) * (1 - tx) + at(knots, k + cells + 2) * tx;
      const i = y * film.side + x;
      film.mass[i] = at(film.mass, i) + upper * (1 - ty) + lower * ty;
    }
  }
}

/** Binomial 1-2-1 blur in both directions: the focal spot. Edges are repeated. */
export function blur(values: Float64Array, side: number): Float64Array {
  const rows = new Float64Array(values.length);
  const out = new Float64Array(values.length);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const i = y * side + x;
      const before = at(values, x > 0 ? i - 1 : i);
      const after = at(values, x < side - 1 ? i + 1 : i);
      rows[i] = (before + 2 * at(values, i) + after) / 4;
    }
  }
  for (let i = 0; i < values.length; i++) {
    const before = at(rows, i >= side ? i - side : i);
    const after = at(rows, i < values.length - side ? i + side : i);
    out[i] = (before + 2 * at(rows, i) + after) / 4;
  }
  return out;
}

export function smooth(t: number): number {
  const c = t < 0 ? 0 : t > 1 ? 1 : t;
  return c * c * (3 - 2 * c);
}

/** Index known to lie inside. */
export function at(values: Float64Array, i: number): number {
  return values[i] as number;
}
