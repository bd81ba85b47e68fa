import type { ActivationKind } from '../../graph/types.ts';

/** How a number lies in memory. Kernels reckon with float32 whatever it is: they widen what they read and round what they write. */
export type Element = 'f32' | 'f16';
export const ELEMENT_BYTES: Readonly<Record<Element, number>> = { f32: 4, f16: 2 };

/**
 * Memory as a plan speaks of it; where it lies is decided later. All of it holds numbers, or bit patterns where a kernel says so.
 * `arena`: lives for some calls of a plan, shares its place with others. `kept`: a buffer of its own that outlives every step.
 */
export interface Memory {
  readonly name: string;
  readonly kind: 'arena' | 'kept';
  readonly element: Element;
  /** Numbers in it, of either type. */
  readonly floats: number;
}

export function bytesOf({ element, floats }: Memory): number {
  return ELEMENT_BYTES[element] * floats;
}

/**
 * `[rows, channels]`, row-major; of a feature map a row is a pixel: `(image · height + y) · width + x`. `channels` is a multiple of 4,
 * so that every access can be of four floats: what a graph has less (3 colours, 5 classes) is padded with channels that are always 0.
 */
export interface Matrix extends Memory {
  readonly rows: number;
  readonly channels: number;
}

/** Channels `first … first + channels − 1` of all rows, both multiples of 4. A dense block is one matrix to which layers append. */
export interface View {
  readonly matrix: Matrix;
  readonly first: number;
  readonly channels: number;
}

/** A part of `kept` memory of float32: from float `offset` on, a multiple of 4. */
export interface Range {
  readonly memory: Memory;
  readonly offset: number;
}

export type Activation = ActivationKind | 'none';

/**
 * A batch norm in numbers, `[4, channels]` float32, for the channels of one view: scale, shift, mean, inverse standard deviation.
 * z = scale · x + shift; x̂ = (x − mean) · inverse.
 */
export type NormTable = Matrix;
export const NORM_ROWS = { scale: 0, shift: 1, mean: 2, inverse: 3 } as const;

/**
 * A value that is nowhere in memory: what readers make of `view` as they load it, `activation(scale[c] · x + shift[c]) · factor[image, c]`.
 * Outside of the map it is 0, not activation(shift).
 */
export interface Source {
  readonly view: View;
  readonly norm: NormTable | null;
  readonly activation: Activation;
  /** `[images, channels]`; squeeze and excitation, dropout. */
  readonly factor: View | null;
}

export function matrix(name: string, rows: number, channels: number, element: Element = 'f32'): Matrix {
  if (channels % 4 !== 0) throw new Error(`${name}: ${channels} channels are no multiple of 4.`);
  return { name, kind: 'arena', element, rows, channels, floats: rows * channels };
}

/** The same, kept. */
export function keptMatrix(name: string, rows: number, channels: number): Matrix {
  return { ...matrix(name, rows, channels), kind: 'kept' };
}

export function kept(name: string, floats: number): Memory {
  return { name, kind: 'kept', element: 'f32', floats };
}

/** Bytes of one number of a view. */
export function bytesEach({ matrix: { element } }: View): number {
  return ELEMENT_BYTES[element];
}

export function whole(of: Matrix): View {
  return { matrix: of, first: 0, channels: of.channels };
}

export function plain(view: View): Source {
  return { view, norm: null, activation: 'none', factor: null };
}

/** The next multiple of 4. */
export function padded(channels: number): number {
  return Math.ceil(channels / 4) * 4;
}
