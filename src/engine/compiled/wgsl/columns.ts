import type { Source } from '../memory.ts';
import { factorAt, imageOf, normAt, sourceCode, type SourceCode } from './source.ts';

/**
 * A source for threads that go down a column, four channels wide: they load its norm once, not once a row, which a compiler can't do
 * for them, because the memory may change as far as it knows. Beside what source.ts declares:
 * `NAME_column(c4)`, `NAME_columnZ(column, raw)`, `NAME_columnHat(column, raw)` (x̂; only with a norm), `NAME_columnAt(column, row, c4)`
 * (the value).
 */
export function columnSource(name: string, source: Source, pixels: number): SourceCode {
  const code = sourceCode(name, source, pixels);
  const { norm, factor } = source;
  const column = norm
    ? `
struct ${name}Column { scale : vec4<f32>, shift : vec4<f32>, mean : vec4<f32>, inverse : vec4<f32> }
fn ${name}_column(c4 : i32) -> ${name}Column {
  return ${name}Column(${(['scale', 'shift', 'mean', 'inverse'] as const).map((row) => normAt(name, row)).join(', ')});
}
fn ${name}_columnZ(column : ${name}Column, raw : vec4<f32>) -> vec4<f32> { return fma(column.scale, raw, column.shift); }
fn ${name}_columnHat(column : ${name}Column, raw : vec4<f32>) -> vec4<f32> { return (raw - column.mean) * column.inverse; }`
    : `
struct ${name}Column { c4 : i32 }
fn ${name}_column(c4 : i32) -> ${name}Column { return ${name}Column(c4); }
fn ${name}_columnZ(column : ${name}Column, raw : vec4<f32>) -> vec4<f32> { return raw; }`;
  return {
    ...code,
    code: `${code.code}${column}
fn ${name}_columnAt(column : ${name}Column, row : i32, c4 : i32) -> vec4<f32> {
  return ${name}_act(${name}_columnZ(column, ${name}_raw(row, c4)))${
    factor ? ` * ${factorAt(name, factor, imageOf(name))}` : ''
  };
}`,
  };
}
