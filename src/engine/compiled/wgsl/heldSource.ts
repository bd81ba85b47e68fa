import type { Source } from '../memory.ts';
import { factorAt, normAt } from './source.ts';

/**
 * A source as a thread reads it that stays with one channel: its norm is loaded once, into locals, not anew for each value. Beside
 * `sourceCode`, whose storage, uniforms and functions it uses.
 */
export interface HeldSource {
  /** Statements that need `c4`. */
  readonly channel: string;
  /** Statements that need `c4` and `image`. */
  readonly image: string;
  /** What is in memory at a pixel, an i32 that counts all images' pixels. */
  raw(pixel: string): string;
  /** The value at a pixel. */
  value(pixel: string): string;
  /** z of a raw value. */
  z(raw: string): string;
  /** Statements that need `c4`, for `hat`; only with a norm. */
  readonly hatChannel: string;
  /** x̂ of a raw value. */
  hat(raw: string): string;
}

export function heldSource(name: string, { norm, factor }: Source): HeldSource {
  const raw = (pixel: string): string => `${name}_raw(${pixel}, c4)`;
  const z = (of: string): string => (norm ? `fma(${name}Scale, ${of}, ${name}Shift)` : of);
  return {
    channel: norm
      ? `let ${name}Scale = ${normAt(name, 'scale')};
  let ${name}Shift = ${normAt(name, 'shift')};`
      : '',
    image: factor ? `let ${name}Gain = ${factorAt(name, factor, 'image')};` : '',
    raw,
    value: (pixel) => `${name}_act(${z(raw(pixel))})${factor ? ` * ${name}Gain` : ''}`,
    z,
    hatChannel: `let ${name}Mean = ${normAt(name, 'mean')};
  let ${name}Inverse = ${normAt(name, 'inverse')};`,
    hat: (of) => `((${of} - ${name}Mean) * ${name}Inverse)`,
  };
}
