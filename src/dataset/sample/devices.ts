import {
  chamferedBox,
  circle,
  ellipse,
  intersection,
  moved,
  roundedBox,
  segment,
  stroke,
  taperedBox,
  union,
  type Shape,
} from './shapes.ts';

/** A part: where it is and how much it adds to the X-ray attenuation (0: air, 1: about the metal can). */
export interface Part {
  readonly shape: Shape;
  readonly mass: number;
}

/**
 * A device in its own coordinates: about 1 unit from the middle to the edge, x to the right, y down, header at the top.
 * `parts[0]` is the can. `ports`: where leads leave the header.
 */
export interface Device {
  readonly name: string;
  readonly parts: readonly Part[];
  readonly ports: readonly (readonly [number, number])[];
}

/** The header: a cap of clear resin with `count` connector bores, each a bright cylinder with a screw block. */
function header(count: number, y: number, width: number, side: 1 | -1): Part[] {
  const parts: Part[] = [{ shape: moved(roundedBox(width, 0.26, 0.16), 0, y), mass: 0.3 }];
  for (let i = 0; i < count; i++) {
    const py = y + (count === 1 ? 0 : -0.14 + (0.28 * i) / (count - 1));
    parts.push({ shape: segment(-width * 0.7 * side, py, width * 0.75 * side, py, 0.045), mass: 0.5 });
    parts.push({ shape: moved(roundedBox(0.08, 0.08, 0.02), width * 0.25 * side, py), mass: 0.5 });
  }
  return parts;
}

function ports(count: number, y: number, width: number, side: 1 | -1): (readonly [number, number])[] {
  return Array.from({ length: count }, (_, i) => [
    width * 0.75 * side,
    y + (count === 1 ? 0 : -0.14 + (0.28 * i) / (count - 1)),
  ]);
}

function can(shape: Shape): Part[] {
  return [
    { shape, mass: 0.5 },
    { shape: stroke(shape, 0.04), mass: 0.5 },
  ];
}

/** A wound coil seen from its end: rings. */
function coil(x: number, y: number, radius: number, turns: number): Part[] {
  return Array.from({ length: turns }, (_, i) => ({
    shape: moved(stroke(circle((radius * (i + 1)) / turns), (0.22 * radius) / turns), x, y),
    mass: 2,
  }));
}

/** Parallel bars: stacked battery plates or a coil seen from its side. */
function bars(x: number, y: number, w: number, h: number, count: number): Part[] {
  return Array.from({ length: count }, (_, i) => {
    const bx = x - w + (2 * w * (i + 0.5)) / count;
    return { shape: segment(bx, y - h, bx, y + h, (0.5 * w) / count), mass: 2 };
  });
}

function dots(points: readonly (readonly [number, number])[], r: number): Part[] {
  return points.map(([x, y]) => ({ shape: moved(circle(r), x, y), mass: 2.2 }));
}

function blocks(points: readonly (readonly [number, number])[], r: number): Part[] {
  return points.map(([x, y]) => ({ shape: moved(roundedBox(r, r, 0.03), x, y), mass: 1.9 }));
}

/** Holes and gaps let the X-rays through: negative mass. */
function window(shape: Shape): Part {
  return { shape, mass: -0.5 };
}

/**
 * Invented devices. The makers' prefixes are those that real labels carry, so that probabilities can be summed over a
 * maker; the models are trees, so that nobody takes a drawing for a real device.
 */
export const devices: readonly Device[] = [
  {
    name: 'BIO - Alder',
    parts: [
      ...can(ellipse(0.98, 0.78)),
      ...header(1, -0.72, 0.5, 1),
      ...coil(0.22, 0.06, 0.6, 3),
      { shape: moved(roundedBox(0.12, 0.34, 0.05), -0.64, 0.05), mass: 1.2 },
    ],
    ports: ports(1, -0.72, 0.5, 1),
  },
  {
    name: 'BOS - Birch',
    parts: [
      ...can(roundedBox(0.72, 0.95, 0.2)),
      ...header(2, -1.0, 0.62, 1),
      ...bars(0, 0.3, 0.58, 0.46, 4),
      window(moved(roundedBox(0.55, 0.2, 0.05), 0, -0.46)),
    ],
    ports: ports(2, -1.0, 0.62, 1),
  },
  {
    name: 'MDT - Cedar',
    parts: [
      ...can(union(circle(0.82), moved(roundedBox(0.82, 0.42, 0.1), 0, -0.42))),
      ...header(2, -0.88, 0.68, -1),
      { shape: intersection(circle(0.66), moved(roundedBox(1, 1, 0), 0, 1.0)), mass: 1.8 },
      ...dots(
        [
          [-0.46, -0.38],
          [0, -0.38],
          [0.46, -0.38],
        ],
        0.14,
      ),
    ],
    ports: ports(2, -0.88, 0.68, -1),
  },
  {
    name: 'SOR - Elm',
    parts: [
      ...can(taperedBox(0.98, 0.5, 0.78, 0.22)),
      ...header(2, -0.9, 0.8, 1),
      { shape: segment(-0.68, -0.5, 0.4, 0.56, 0.12), mass: 1.9 },
      { shape: segment(0.68, -0.5, -0.4, 0.56, 0.12), mass: 1.9 },
    ],
    ports: ports(2, -0.9, 0.8, 1),
  },
  {
    name: 'STJ - Fir',
    parts: [
      ...can(roundedBox(0.42, 1.05, 0.42)),
      ...header(1, -1.05, 0.36, 1),
      ...[-0.55, -0.2, 0.15, 0.5].map((y) => ({ shape: segment(-0.22, y + 0.12, 0.22, y - 0.12, 0.1), mass: 2 })),
    ],
    ports: ports(1, -1.05, 0.36, 1),
  },
  {
    name: 'MDT - Hazel_Holly',
    parts: [
      ...can(circle(0.88)),
      ...header(3, -0.82, 0.66, -1),
      window(moved(circle(0.46), 0, 0.12)),
      { shape: moved(stroke(circle(0.5), 0.08), 0, 0.12), mass: 1.9 },
      ...dots([[0, 0.12]], 0.2),
    ],
    ports: ports(3, -0.82, 0.66, -1),
  },
  {
    name: 'BOS - Juniper',
    parts: [
      ...can(chamferedBox(0.95, 0.8, 0.45)),
      ...header(3, -0.92, 0.6, 1),
      ...blocks(
        [
          [-0.52, -0.3],
          [0, -0.3],
          [0.52, -0.3],
          [-0.26, 0.06],
          [0.26, 0.06],
          [-0.52, 0.42],
          [0, 0.42],
          [0.52, 0.42],
        ],
        0.15,
      ),
    ],
    ports: ports(3, -0.92, 0.6, 1),
  },
  {
    name: 'STJ - Larch',
    parts: [
      ...can(intersection(circle(0.95), moved(roundedBox(1, 1, 0.12), 0.55, 0))),
      ...header(2, -0.86, 0.5, 1),
      window(moved(roundedBox(0.15, 0.55, 0.1), -0.2, 0.1)),
      { shape: moved(roundedBox(0.28, 0.5, 0.04), 0.4, 0.05), mass: 2 },
    ],
    ports: ports(2, -0.86, 0.5, 1),
  },
  {
    name: 'BIO - Maple XS',
    parts: [
      ...can(ellipse(0.66, 0.92)),
      ...header(2, -0.9, 0.42, 1),
      ...dots(
        [
          [0, -0.35],
          [-0.26, 0],
          [0.26, 0],
          [-0.26, 0.38],
          [0.26, 0.38],
          [0, 0.68],
        ],
        0.1,
      ),
    ],
    ports: ports(2, -0.9, 0.42, 1),
  },
  {
    name: 'SOR - Oak',
    parts: [
      ...can(roundedBox(1.0, 0.6, 0.14)),
      ...header(1, -0.68, 0.42, -1),
      window(moved(roundedBox(0.3, 0.3, 0.03), -0.5, 0.08)),
      ...bars(0.42, 0.08, 0.4, 0.3, 3),
    ],
    ports: ports(1, -0.68, 0.42, -1),
  },
];
