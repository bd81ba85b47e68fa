import { roundToFloat16 } from '../interpreter/float16.ts';
import { sizeOf } from '../interpreter/work.ts';
import type { MilValue } from './values.ts';

type Numbers = Extract<MilValue, { kind: 'numbers' }>;
type Part = (name: string) => Numbers;
type Fail = (what: string) => Error;

export interface Unpacked {
  readonly value: Numbers;
  /** Whether each number has 8 bits or fewer in the file. */
  readonly eightBit: boolean;
}

/**
 * Constants that Core ML unpacks when it loads a model (coremltools, ops/defs/iOS16/constexpr_ops.py), by their numbers and, with `text`,
 * their strings.
 */
export const packedConstants: Readonly<
  Record<string, (part: Part, text: (name: string) => string, fail: Fail) => Unpacked>
> = {
  /** Indices of log2(entries of the table) bits each, packed from the lowest bit on. */
  constexpr_lut_to_dense(part, _text, fail) {
    const [indices, table, shape] = [part('indices'), part('lut'), [...part('shape').data]];
    if (indices.type !== 'uint8') throw fail(`its indices are ${indices.type}`);
    const bits = Math.log2(table.data.length);
    if (![1, 2, 4, 6, 8].includes(bits)) throw fail(`its table has ${table.data.length} entries`);
    const size = sizeOf(shape);
    if (indices.data.length !== Math.ceil((bits * size) / 8))
      throw fail(`${indices.data.length} bytes of indices for [${shape.join(', ')}] in ${bits} bits each`);
    // No index of 1, 2, 4 or 8 bits lies across two bytes; of 6 bits, some do.
    const indexAt = (i: number): number => {
      const at = (i * bits) % 8;
      const byte = Math.floor((i * bits) / 8);
      return ((indices.data[byte]! | ((indices.data[byte + 1] ?? 0) << 8)) >>> at) & (2 ** bits - 1);
    };
    const data = new Float32Array(size);
    for (let i = 0; i < size; i++) data[i] = table.data[indexAt(i)]!;
    return { value: { kind: 'numbers', type: table.type, shape, data }, eightBit: true };
  },

  /** scale · (number − zero point), both one for all or one for each index along the axis. */
  constexpr_affine_dequantize(part, _text, fail) {
    const [numbers, scale, zero] = [part('quantized_data'), part('scale'), part('zero_point')];
    const { shape } = numbers;
    const given = part('axis').data[0]!;
    const axis = given < 0 ? given + shape.length : given;
    if (!(axis >= 0 && axis < shape.length)) throw fail(`it has no axis ${given}`);
    for (const one of [scale, zero])
      if (one.shape.length > 1 || (one.shape.length === 1 && one.data.length !== shape[axis]))
        throw fail(`[${one.shape.join(', ')}] along axis ${axis} of [${shape.join(', ')}]`);
    const apart = sizeOf(shape.slice(axis + 1));
    const data = new Float32Array(numbers.data.length);
    for (let start = 0; start < data.length; start += apart) {
      const index = (start / apart) % shape[axis]!;
      const [factor, from] = [scale, zero].map(({ data: own }) => own[own.length === 1 ? 0 : index]!) as [
        number,
        number,
      ];
      for (let i = start; i < start + apart; i++) data[i] = factor * (numbers.data[i]! - from);
    }
    if (scale.type === 'float16') roundToFloat16(data);
    return { value: { kind: 'numbers', type: scale.type, shape, data }, eightBit: true };
  },

  constexpr_cast(part, text, fail) {
    const source = part('source_val');
    if (source.type !== 'float16' || text('output_dtype') !== 'fp32')
      throw fail(`from ${source.type} to ${text('output_dtype')}`);
    return { value: { ...source, type: 'float32' }, eightBit: false };
  },
};
