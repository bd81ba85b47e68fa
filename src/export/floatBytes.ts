import { UserError } from '../errors.ts';
import { toFloat16 } from '../weights/float16.ts';
import type { Precision } from './types.ts';

/** A weight is too large for float16. */
export class Float16RangeError extends UserError {
  constructor(name: string, value: number) {
    super(`${name} holds ${value}, which float16 cannot (its largest number is 65504).`, {
      kept: 'The trained model is untouched.',
      remedy: 'Export with precision float32.',
    });
  }
}

/** Little-endian bytes of `values`; not a copy for float32. Throws `Float16RangeError`. */
export function encode(name: string, values: Float32Array, precision: Precision): Uint8Array {
  if (precision === 'float32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const halves = toFloat16(values);
  const infinite = halves.findIndex((bits) => (bits & 0x7fff) === 0x7c00);
  if (infinite >= 0) throw new Float16RangeError(name, values[infinite] as number);
  return new Uint8Array(halves.buffer);
}
