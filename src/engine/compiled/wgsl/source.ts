import { NORM_ROWS, type Memory, type Source } from '../memory.ts';
import { activationCode } from './activation.ts';
import { arena, type Storage } from './shader.ts';

/** How a kernel reads a source; `key` goes into the program's name, the rest into its shader and dispatch, in this order. */
export interface SourceCode {
  readonly key: string;
  readonly storage: readonly Storage[];
  readonly memories: readonly Memory[];
  readonly integers: readonly string[];
  readonly values: readonly number[];
  /**
   * `NAME_raw(row, c4)`, `NAME_z(c4, raw)`, `NAME_hat(c4, raw)` (x̂; only with a norm), `NAME_act(z)`, `NAME_act_slope(z)`,
   * `NAME_of(row, c4, raw)` (the value, made of its raw one), `NAME_at(row, c4)` (the value); c4 counts fours of the view's channels.
   */
  readonly code: string;
}

/** `pixels`: rows of an image, by which a row finds its factor. */
export function sourceCode(name: string, source: Source, pixels: number): SourceCode {
  const { view, norm, activation, factor } = source;
  const normed = norm !== null;
  const scaled = factor !== null;
  const table = (row: number): string => `${name}Norm[${row} * u.${name}NormStride + c4]`;
  return {
    key: `${normed ? 'norm' : ''}${activation === 'none' ? '' : `-${activation}`}${scaled ? '-scaled' : ''}`,
    storage: [arena(name), ...(normed ? [arena(`${name}Norm`)] : []), ...(scaled ? [arena(`${name}Factor`)] : [])],
    memories: [view.matrix, ...(normed ? [norm] : []), ...(scaled ? [factor.matrix] : [])],
    integers: [
      `${name}Stride`,
      `${name}First`,
      ...(normed ? [`${name}NormStride`] : []),
      ...(scaled ? [`${name}FactorStride`, `${name}FactorFirst`, `${name}Pixels`] : []),
    ],
    values: [
      view.matrix.channels / 4,
      view.first / 4,
      ...(normed ? [norm.channels / 4] : []),
      ...(scaled ? [factor.matrix.channels / 4, factor.first / 4, pixels] : []),
    ],
    code: `${activationCode(`${name}_act`, activation)}
fn ${name}_raw(row : i32, c4 : i32) -> vec4<f32> { return ${name}[row * u.${name}Stride + u.${name}First + c4]; }
fn ${name}_z(c4 : i32, raw : vec4<f32>) -> vec4<f32> { return ${
      normed ? `fma(${table(NORM_ROWS.scale)}, raw, ${table(NORM_ROWS.shift)})` : 'raw'
    }; }
${normed ? `fn ${name}_hat(c4 : i32, raw : vec4<f32>) -> vec4<f32> { return (raw - ${table(NORM_ROWS.mean)}) * ${table(NORM_ROWS.inverse)}; }` : ''}
fn ${name}_of(row : i32, c4 : i32, raw : vec4<f32>) -> vec4<f32> { return ${name}_act(${name}_z(c4, raw))${
      scaled ? ` * ${name}Factor[(row / u.${name}Pixels) * u.${name}FactorStride + u.${name}FactorFirst + c4]` : ''
    }; }
fn ${name}_at(row : i32, c4 : i32) -> vec4<f32> { return ${name}_of(row, c4, ${name}_raw(row, c4)); }`,
  };
}
