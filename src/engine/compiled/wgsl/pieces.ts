import type { Dispatch } from '../kernels.ts';
import type { Matrix, Memory, Range, View } from '../memory.ts';
import { loaded, rounding, storing } from './element.ts';
import { arena, shader, type Storage } from './shader.ts';

/** What an operand brings into a shader and its dispatch: bindings, memories for them, fields of `u` with their values. */
export interface Piece {
  readonly storage: readonly Storage[];
  readonly memories: readonly Memory[];
  readonly integers: readonly string[];
  readonly values: readonly number[];
}

/** Array NAME, fields `NAMEStride` and `NAMEFirst`, counted in fours. What is in it is read and written by these alone. */
export interface ViewPiece extends Piece {
  /** The four at a row; arguments and result are WGSL expressions. */
  at(row?: string, c4?: string): string;
  /** A statement. */
  set(value: string, row?: string, c4?: string): string;
  /** A statement: a variable becomes what readers of the view will see of it. */
  rounded(variable: string): string;
}

export function viewPiece(name: string, { matrix, first }: View): ViewPiece {
  const { element } = matrix;
  const place = (row: string, c4: string): string => `${name}[(${row}) * u.${name}Stride + u.${name}First + ${c4}]`;
  return {
    storage: [arena(name, element)],
    memories: [matrix],
    integers: [`${name}Stride`, `${name}First`],
    values: [matrix.channels / 4, first / 4],
    at: (row = 'row', c4 = 'c4') => loaded(element, place(row, c4)),
    set: (value, row = 'row', c4 = 'c4') => storing(element, place(row, c4), value),
    rounded: (variable) => rounding(element, variable),
  };
}

/** Array NAME and field `NAMEStride`; a matrix of f32. */
export function matrixPiece(name: string, matrix: Matrix): Piece {
  return {
    storage: [arena(name)],
    memories: [matrix],
    integers: [`${name}Stride`],
    values: [matrix.channels / 4],
  };
}

export interface RangesPiece extends Piece {
  /** Which ranges share a memory: part of the program's name. */
  readonly key: string;
  /** The four of a range at `c4`, a WGSL expression that can be assigned to. */
  at(name: string, c4: string): string;
}

/** Ranges of kept memory, of which several may lie in one memory: that is bound once. `written` may be changed, the others only read. */
export function rangesPiece(
  read: Readonly<Record<string, Range>>,
  written: Readonly<Record<string, Range>> = {},
): RangesPiece {
  const entries = [...Object.entries(read), ...Object.entries(written)];
  const memories = [...new Set(entries.map(([, { memory }]) => memory))];
  const changed = new Set(Object.values(written).map(({ memory }) => memory));
  const bindingOf = new Map(entries.map(([name, { memory }]) => [name, memories.indexOf(memory)]));
  return {
    key:
      entries.map(([name]) => `${bindingOf.get(name)}`).join('') +
      [...memories].map((m) => (changed.has(m) ? 'w' : 'r')).join(''),
    storage: memories.map((memory, i) => ({
      name: `kept${i}`,
      access: changed.has(memory) ? 'read_write' : 'read',
      element: 'vec4<f32>',
    })),
    memories,
    integers: entries.map(([name]) => `${name}Offset`),
    values: entries.map(([, { offset }]) => offset / 4),
    at: (name, c4) => `kept${bindingOf.get(name)!}[u.${name}Offset + ${c4}]`,
  };
}

/** A dispatch with its program. Numbers stand in `u` under their names, after those of the pieces. */
export function compose(
  name: string,
  options: {
    readonly pieces: readonly Piece[];
    readonly integers?: Readonly<Record<string, number>>;
    readonly floats?: Readonly<Record<string, number>>;
    readonly workgroup?: number;
    readonly declarations?: string;
    readonly body: string;
    readonly workgroups: number;
  },
): Dispatch {
  const { pieces, integers = {}, floats = {}, workgroup, declarations, body, workgroups } = options;
  return {
    program: shader(name, {
      storage: pieces.flatMap(({ storage }) => storage),
      integers: [...pieces.flatMap((piece) => piece.integers), ...Object.keys(integers)],
      floats: Object.keys(floats),
      ...(workgroup !== undefined && { workgroup }),
      ...(declarations !== undefined && { declarations }),
      body,
    }),
    memories: pieces.flatMap(({ memories }) => memories),
    integers: [...pieces.flatMap(({ values }) => values), ...Object.values(integers)],
    floats: Object.values(floats),
    workgroups,
  };
}
