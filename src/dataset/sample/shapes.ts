/**
 * Signed distances (negative inside), after Inigo Quilez, "2D distance functions". Only + − × ÷ and √, which IEEE 754
 * rounds the same everywhere; Math.sin, exp, hypot and their kin may differ between engines in the last bit.
 */
export type Shape = (x: number, y: number) => number;

/** Box of half sizes `w`, `h` with corners of radius `r`. */
export function roundedBox(w: number, h: number, r: number): Shape {
  return (x, y) => {
    const dx = (x < 0 ? -x : x) - w + r;
    const dy = (y < 0 ? -y : y) - h + r;
    const ox = dx > 0 ? dx : 0;
    const oy = dy > 0 ? dy : 0;
    const inner = dx > dy ? dx : dy;
    return (inner < 0 ? inner : 0) + Math.sqrt(ox * ox + oy * oy) - r;
  };
}

export function circle(r: number): Shape {
  return (x, y) => Math.sqrt(x * x + y * y) - r;
}

/** First-order distance, good to a few per cent near the outline. */
export function ellipse(a: number, b: number): Shape {
  return (x, y) => {
    const k = Math.sqrt((x / a) * (x / a) + (y / b) * (y / b));
    const g = Math.sqrt((x / a / a) * (x / a / a) + (y / b / b) * (y / b / b));
    return g === 0 ? -(a < b ? a : b) : (k * (k - 1)) / g;
  };
}

/** Box whose corners are cut at 45°, `cut` off each side. */
export function chamferedBox(w: number, h: number, cut: number): Shape {
  return (x, y) => {
    const ax = x < 0 ? -x : x;
    const ay = y < 0 ? -y : y;
    const diagonal = (ax + ay - (w + h - cut)) * Math.SQRT1_2;
    return Math.max(ax - w, ay - h, diagonal);
  };
}

/** Isosceles trapezoid with rounded corners: half width `top` at −h, `bottom` at +h. */
export function taperedBox(top: number, bottom: number, h: number, r: number): Shape {
  const slope = (bottom - top) / (2 * h);
  const length = Math.sqrt(1 + slope * slope);
  return (x, y) => {
    const side = ((x < 0 ? -x : x) - (top + slope * (y + h)) + r * length) / length;
    const end = (y < 0 ? -y : y) - h + r;
    const ox = side > 0 ? side : 0;
    const oy = end > 0 ? end : 0;
    const inner = side > end ? side : end;
    return (inner < 0 ? inner : 0) + Math.sqrt(ox * ox + oy * oy) - r;
  };
}

export function moved(shape: Shape, dx: number, dy: number): Shape {
  return (x, y) => shape(x - dx, y - dy);
}

export function intersection(a: Shape, b: Shape): Shape {
  return (x, y) => Math.max(a(x, y), b(x, y));
}

export function union(a: Shape, b: Shape): Shape {
  return (x, y) => Math.min(a(x, y), b(x, y));
}

/** The outline alone, as a line of half width `w`. */
export function stroke(shape: Shape, w: number): Shape {
  return (x, y) => {
    const d = shape(x, y);
    return (d < 0 ? -d : d) - w;
  };
}

export function segment(x0: number, y0: number, x1: number, y1: number, w: number): Shape {
  const ex = x1 - x0;
  const ey = y1 - y0;
  const square = ex * ex + ey * ey || 1;
  return (x, y) => {
    const t = ((x - x0) * ex + (y - y0) * ey) / square;
    const c = t < 0 ? 0 : t > 1 ? 1 : t;
    const dx = x - x0 - c * ex;
    const dy = y - y0 - c * ey;
    return Math.sqrt(dx * dx + dy * dy) - w;
  };
}

export interface Bounds {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** A box that holds the shape, which lies within ±`reach`: found on a grid, widened by what may lie between its points. */
export function boundsOf(shape: Shape, reach: number): Bounds {
  const step = reach / 32;
  const bounds = { left: reach, top: reach, right: -reach, bottom: -reach };
  for (let y = -reach; y <= reach; y += step) {
    for (let x = -reach; x <= reach; x += step) {
      if (shape(x, y) > step) continue;
      bounds.left = Math.min(bounds.left, x - step);
      bounds.right = Math.max(bounds.right, x + step);
      bounds.top = Math.min(bounds.top, y - step);
      bounds.bottom = Math.max(bounds.bottom, y + step);
    }
  }
  return bounds;
}
