import { NORM_ROWS, type Memory, type Source, type View } from '../memory.ts';
import { activationCode } from './activation.ts';
import { loaded } from './element.ts';
import { arena, type Storage } from './shader.ts';

/** How a kernel reads a source; `key` goes into the program's name, the rest into its shader and dispatch, in this order. */
export interface SourceCode {
  readonly key: string;
  readonly storage: readonly Storage[];
  readonly memories: readonly Memory[];
  readonly integers: readonly string[];
  readonly values: readonly number[];
  /** `NAME_raw(row, c4)`, `NAME_act(z)`, `NAME_act_slope(z)`; c4 counts fours of the view's channels. */
  readonly code: string;
}

/** Four channels of a source's norm, of one row of its table; `c4` is a WGSL expression. */
export function normAt(name: string, row: keyof typeof NORM_ROWS, c4 = 'c4'): string {
  return `${name}Norm[${NORM_ROWS[row]} * u.${name}NormStride + ${c4}]`;
}

/** Four channels of a source's factor for an image. */
export function factorAt(name: string, { matrix }: View, image: string, c4 = 'c4'): string {
  return loaded(matrix.element, `${name}Factor[(${image}) * u.${name}FactorStride + u.${name}FactorFirst + ${c4}]`);
}

/** The image of a row of a source that has a factor. */
export const imageOf = (name: string, row = 'row'): string => `${row} / u.${name}Pixels`;

/** `pixels`: rows of an image, by which a row finds its factor. */
export function sourceCode(name: string, source: Source, pixels: number): SourceCode {
  const { view, norm, activation, factor } = source;
  const normed = norm !== null;
  const scaled = factor !== null;
  return {
    key: `${normed ? 'norm' : ''}${activation === 'none' ? '' : `-${activation}`}${scaled ? '-scaled' : ''}`,
    storage: [
      arena(name, view.matrix.element),
      ...(normed ? [arena(`${name}Norm`)] : []),
      ...(scaled ? [arena(`${name}Factor`, factor.matrix.element)] : []),
    ],
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
fn ${name}_raw(row : i32, c4 : i32) -> vec4<f32> { return ${loaded(view.matrix.element, `${name}[row * u.${name}Stride + u.${name}First + c4]`)}; }`,
  };
}
