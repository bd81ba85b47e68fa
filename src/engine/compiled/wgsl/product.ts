import type { Storage } from './shader.ts';

/**
 * out[row, n] = Σ over taps and k of left[row at tap, k] · right[tap, k, n], and what is done with it: the shape that a convolution and
 * its input gradient share. WGSL that the generators call:
 *
 *     fn place(q : i32) -> vec4<i32>            where the q-th row is: w is its row of `out` (q, unless `skips`), −1 past the last
 *     fn tapRow(p : vec4<i32>, tap : vec2<i32>) -> i32      row of the left matrix (tap is ky, kx), −1: nothing is there
 *     fn leftTable(k4 : i32) -> Table           what all rows need of columns 4·k4 …
 *     fn left(row : i32, k4 : i32, t : Table) -> vec4<f32>  four columns, 0 where row is −1
 *     fn right(tap : i32, k4 : i32, n4 : i32) -> mat4x4<f32>   column i is right[tap, 4·k4 + i, 4·n4 … 4·n4 + 3]
 *     fn skip(first : vec4<i32>, last : vec4<i32>, tap : vec2<i32>) -> bool   no row of a tile has anything at this tap
 *     fn endTable(n4 : i32) -> End              what all rows need of output columns 4·n4 …
 *     fn finish(row : i32, n4 : i32, sum : vec4<f32>, e : End) -> Result      stores `value`; `other`: second factor of the sums
 *
 * Integers of the uniforms: rows, n4, k4 (fours), kernel (its taps are kernel²).
 */
export interface Product {
  readonly name: string;
  readonly storage: readonly Storage[];
  readonly integers: readonly string[];
  readonly declarations: string;
  /** One tap and rows as they come: `tapRow` is not called. */
  readonly pointwise: boolean;
  /** Tiles have taps with nothing in them: `skip` is called. */
  readonly skips: boolean;
  /** In which direction four of the right matrix lie side by side in memory. */
  readonly rightAlong: 'n' | 'k';
  /** Written to `sums`, u.sumsStride fours a row: mean and squared differences, or Σ value and Σ value · other. */
  readonly sums: 'none' | 'moments' | 'gradient';
}
