import { z } from '../../zod.ts';
import { UnreadableModelError } from '../errors.ts';
import type { Node } from './modelFiles.ts';

/** 64-bit integers are texts in proto3's JSON. */
const whole = z.union([z.int(), z.string().regex(/^-?\d{1,15}$/)]).transform(Number);
/** `bytes` are base64; some tools write them as a list of codes. */
const text = z.union([
  z.base64().transform((text) => atob(text)),
  z.array(z.number()).transform((codes) => codes.map((code) => String.fromCharCode(code)).join('')),
]);

const integer = z.object({ i: whole });
const integers = z.object({ list: z.object({ i: z.array(whole).optional() }) });
const number = z.object({ f: z.number() });
const flag = z.object({ b: z.boolean() });
const string = z.object({ s: text });
const strings = z.object({ list: z.object({ s: z.array(text).optional() }) });
const shape = z.object({
  shape: z.object({
    dim: z.array(z.object({ size: whole.optional() })).optional(),
    unknownRank: z.boolean().optional(),
  }),
});

/** Attributes of a node; each throws `UnreadableModelError` where the attribute is of another kind. */
export interface Attributes {
  integers(name: string): readonly number[] | null;
  number(name: string): number | null;
  flag(name: string): boolean | null;
  text(name: string): string | null;
  texts(name: string): readonly string[];
  /** −1 where a size isn't said; null for an unknown rank. */
  shape(name: string): readonly number[] | null;
  /** One that nobody has asked for, and that may change what the node means; null where there is none. */
  unknown(): string | null;
}

/**
 * Types of elements and numbers of inputs, which the inputs tell; where and how to compute; slopes and numbers of what is only fused or
 * trained where another attribute says so, which is asked for.
 */
const meaningless = [
  ...['T', 'U', 'dtype', 'Tidx', 'Tshape', 'Tpaddings', 'Tperm', 'N', 'num_args', 'TArgs', '_output_shapes', '_class'],
  ...['grad_a', 'grad_b', 'use_cudnn_on_gpu', 'leakyrelu_alpha', 'exponential_avg_factor'],
];

/** `known`: those that nobody need ask for. */
export function attributesOf({ name: node, attr }: Node, ...known: readonly string[]): Attributes {
  const asked = new Set([...meaningless, ...known]);
  function read<Schema extends z.ZodType>(schema: Schema, name: string): z.infer<Schema> | null {
    asked.add(name);
    const value = attr?.[name];
    if (value === undefined || value === null) return null;
    const parsed = schema.safeParse(value);
    if (!parsed.success) {
      throw new UnreadableModelError(`The attribute ${name} of ${node} isn’t what its operation wants.`, parsed.error);
    }
    return parsed.data;
  }
  return {
    integers(name) {
      const found = read(integers, name);
      return found && (found.list.i ?? []);
    },
    number: (name) => read(z.union([number.transform(({ f }) => f), integer.transform(({ i }) => i)]), name),
    flag: (name) => read(flag, name)?.b ?? null,
    text: (name) => read(string, name)?.s ?? null,
    texts: (name) => read(strings, name)?.list.s ?? [],
    shape(name) {
      const found = read(shape, name);
      return found === null || found.shape.unknownRank === true
        ? null
        : (found.shape.dim ?? []).map(({ size }) => size ?? -1);
    },
    unknown: () => Object.keys(attr ?? {}).find((name) => !asked.has(name) && attr?.[name] !== null) ?? null,
  };
}
