import { random, type Random } from '../../random.ts';
import type { Device, Part } from './devices.ts';
import { add, addClouds, at, blur, onFilm, raise, smooth, type Film, type Placement } from './film.ts';
import { boundsOf, ellipse, moved, segment, type Bounds } from './shapes.ts';

/** Which image of which class and split: with the seed it determines the picture, whatever else is drawn. */
export interface Subject {
  readonly seed: number;
  readonly classIndex: number;
  readonly test: boolean;
  readonly index: number;
}

/** Draws one image: `[side, side]` uint8 grey, metal bright. Bit-identical in every engine that follows IEEE 754. */
export function drawRadiograph(device: Device, subject: Subject, side: number): Uint8Array {
  const rng = random(subject.seed, subject.classIndex, subject.test ? 1 : 0, subject.index);
  const film: Film = { side, mass: new Float64Array(side * side) };
  drawChest(film, rng);
  drawDevice(film, device, rng);
  return expose(film, rng);
}

function drawChest(film: Film, rng: Random): void {
  const { side, mass } = film;
  const level = rng.between(0.2, 0.36);
  const tiltX = rng.between(-0.2, 0.2);
  const tiltY = rng.between(-0.2, 0.2);
  for (let i = 0; i < mass.length; i++) {
    const x = (i % side) / side - 0.5;
    const y = Math.floor(i / side) / side - 0.5;
    mass[i] = level + tiltX * x + tiltY * y;
  }
  addClouds(film, 3, 0.1, rng);
  addClouds(film, 9, 0.03, rng);
  drawMediastinum(film, rng);
  drawRibs(film, rng);
}

/** The soft, dense middle of the chest enters from one side in most crops. */
function drawMediastinum(film: Film, rng: Random): void {
  const { side, mass } = film;
  const fromLeft = rng.uniform() < 0.5;
  const reach = rng.between(-0.1, 0.35);
  const density = rng.between(0.05, 0.22);
  for (let i = 0; i < mass.length; i++) {
    const x = (i % side) / side;
    mass[i] = at(mass, i) + density * smooth((reach - (fromLeft ? x : 1 - x)) / 0.2 + 0.5);
  }
}

/** Ribs: bands along parabolas, denser at their edges, as cortical bone looks. */
function drawRibs(film: Film, rng: Random): void {
  const { side, mass } = film;
  const spacing = rng.between(0.22, 0.36);
  const first = rng.between(-0.4, 0);
  const half = rng.between(0.035, 0.06);
  const slope = rng.between(-0.5, 0.5);
  const bend = rng.between(-0.5, 0.5);
  const density = rng.between(0.05, 0.14);
  for (let i = 0; i < mass.length; i++) {
    const x = (i % side) / side - 0.5;
    const y = Math.floor(i / side) / side - slope * x - bend * x * x - first;
    const d = Math.abs(y - spacing * Math.floor(y / spacing + 0.5)) / half;
    if (d < 1.2) mass[i] = at(mass, i) + density * smooth((1.2 - d) / 0.4) * (0.55 + 0.45 * d * d);
  }
}

function drawDevice(film: Film, device: Device, rng: Random): void {
  const { side } = film;
  // A random tan(θ/2) gives cos θ and sin θ without trigonometry; ±0.45 is about ±48°.
  const t = rng.between(-0.45, 0.45);
  const cos = (1 - t * t) / (1 + t * t);
  const sin = (2 * t) / (1 + t * t);
  const mirror = rng.uniform() < 0.5 ? -1 : 1;
  const unit = side * rng.between(0.27, 0.36);
  const cx = side * rng.between(0.38, 0.62);
  const cy = side * rng.between(0.38, 0.62);
  const squeeze = rng.between(0.9, 1.1);
  const placement: Placement = {
    a: (mirror * cos) / (unit * squeeze),
    b: (mirror * sin) / (unit * squeeze),
    c: (-mirror * (cos * cx + sin * cy)) / (unit * squeeze),
    d: (-sin * squeeze) / unit,
    e: (cos * squeeze) / unit,
    f: ((sin * cx - cos * cy) * squeeze) / unit,
    unit,
  };
  for (const [u, v] of device.ports) {
    const su = u * squeeze * mirror;
    const sv = v / squeeze;
    drawLead(film, cx + (cos * su - sin * sv) * unit, cy + (sin * su + cos * sv) * unit, rng);
  }
  const density = rng.between(0.85, 1.2);
  for (const part of device.parts) {
    const { left, right, top, bottom } = partBounds(part);
    // The part's box on the film: its middle turned, its half sides projected; one pixel more for the soft edge.
    const mx = ((left + right) / 2) * squeeze * mirror;
    const my = (top + bottom) / 2 / squeeze;
    const hx = ((right - left) / 2) * squeeze;
    const hy = (bottom - top) / 2 / squeeze;
    const x = cx + (cos * mx - sin * my) * unit;
    const y = cy + (sin * mx + cos * my) * unit;
    const dx = (cos * hx + Math.abs(sin) * hy) * unit + 1;
    const dy = (Math.abs(sin) * hx + cos * hy) * unit + 1;
    add(film, part.shape, part.mass * density, placement, { left: x - dx, right: x + dx, top: y - dy, bottom: y + dy });
  }
}

const knownBounds = new WeakMap<Part, Bounds>();

function partBounds(part: Part): Bounds {
  const known = knownBounds.get(part) ?? boundsOf(part.shape, 1.6);
  knownBounds.set(part, known);
  return known;
}

/** A lead: a quadratic curve from the port (px, py) to a point beyond the film's edge, in short straight pieces. */
function drawLead(film: Film, px: number, py: number, rng: Random): void {
  const { side } = film;
  const endX = side * rng.between(-0.2, 1.2);
  const endY = side * (rng.uniform() < 0.5 ? -0.1 : 1.1);
  const midX = side * rng.between(-0.1, 1.1);
  const midY = side * rng.between(-0.1, 1.1);
  const width = side * rng.between(0.006, 0.011);
  const density = rng.between(0.35, 0.6);
  const cover: Film = { side, mass: new Float64Array(side * side) };
  const pieces = 14;
  let x0 = px;
  let y0 = py;
  for (let i = 1; i <= pieces; i++) {
    const t = i / pieces;
    const x1 = (1 - t) * (1 - t) * px + 2 * t * (1 - t) * midX + t * t * endX;
    const y1 = (1 - t) * (1 - t) * py + 2 * t * (1 - t) * midY + t * t * endY;
    raise(cover, segment(x0, y0, x1, y1, width), {
      left: Math.min(x0, x1) - width - 1,
      right: Math.max(x0, x1) + width + 1,
      top: Math.min(y0, y1) - width - 1,
      bottom: Math.max(y0, y1) + width + 1,
    });
    x0 = x1;
    y0 = y1;
  }
  for (let i = 0; i < film.mass.length; i++) film.mass[i] = at(film.mass, i) + density * at(cover.mass, i);
  // An electrode or a suture sleeve somewhere on the film, as a distraction.
  const x = side * rng.uniform();
  const y = side * rng.uniform();
  const [w, h] = [side * 0.022, side * 0.014];
  add(film, moved(ellipse(w, h), x, y), 0.4, onFilm, {
    left: x - w - 1,
    right: x + w + 1,
    top: y - h - 1,
    bottom: y + h + 1,
  });
}

/** Attenuation → grey: a saturating film curve, exposure, contrast, focus and noise of its own for each image. */
function expose(film: Film, rng: Random): Uint8Array {
  const { side } = film;
  const exposure = rng.between(0.85, 1.2);
  const contrast = rng.between(0.9, 1.15);
  const lift = rng.between(-0.05, 0.05);
  const focused = rng.uniform() < 0.5 ? film.mass : blur(film.mass, side);
  const grain = rng.between(0.01, 0.03) / 147.8;
  const speckle = byteNoise(rng.integer(0x100000000));
  const grey = new Uint8Array(side * side);
  for (let i = 0; i < grey.length; i++) {
    const mass = Math.max(0, at(focused, i)) * exposure;
    const value = lift + contrast * (mass / (0.8 + mass)) + grain * speckle();
    grey[i] = Math.max(0, Math.min(255, Math.floor(value * 255 + 0.5)));
  }
  return grey;
}

/** Nearly normal noise, mean 0, standard deviation 147.8: four bytes of a 32-bit xorshift number (Marsaglia 2003), summed. */
function byteNoise(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state & 255) + ((state >>> 8) & 255) + ((state >>> 16) & 255) + (state >>> 24) - 510;
  };
}
