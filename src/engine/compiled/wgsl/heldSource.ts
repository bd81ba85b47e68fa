import { NORM_ROWS, type Source } from '../memory.ts';

/**
 * A source as a thread reads it that stays with one channel: its norm is loaded once, into locals, not anew for each value. Beside
 * `sourceCode`, whose storage, uniforms and functions it uses.
 */
export interface HeldSource {
  /** Statements that need `c4`. */
  readonly channel: string;
  /** Statements that need `c4` and `image`. */
  readonly image: string;
  /** The value at a pixel, an i32 that counts all images' pixels. */
  value(pixel: string): string;
}

export function heldSource(name: string, { norm, factor }: Source): HeldSource {
  const table = (row: number): string => `${name}Norm[${row} * u.${name}NormStride + c4]`;
  return {
    channel: norm
      ? `let ${name}Scale = ${table(NORM_ROWS.scale)};
  let ${name}Shift = ${table(NORM_ROWS.shift)};`
      : '',
    image: factor ? `let ${name}Gain = ${name}Factor[image * u.${name}FactorStride + u.${name}FactorFirst + c4];` : '',
    value(pixel) {
      const raw = `${name}[(${pixel}) * u.${name}Stride + u.${name}First + c4]`;
      const z = norm ? `fma(${name}Scale, ${raw}, ${name}Shift)` : raw;
      return `${name}_act(${z})${factor ? ` * ${name}Gain` : ''}`;
    },
  };
}
