const bits = new Uint32Array(1);
const number = new Float32Array(bits.buffer);

/**
 * Rounds float32 numbers to the float16 numbers nearest to them (IEEE 754: ties to even, subnormals kept, from 65520 on infinite), in
 * place; they stay float32 numbers.
 */
export function roundToFloat16(values: Float32Array): void {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const size = word & 0x7fffffff;
    const sign = word & 0x80000000;
    if (size >= 0x477ff000) {
      // 65520, half way from the largest number to the next, and more. NaN stays NaN.
      if (size <= 0x7f800000) words[i] = sign | 0x7f800000;
    } else if (size >= 0x38800000) {
      // From 2^-14 on there are 13 bits less of mantissa; a carry rightly goes up into the exponent.
      words[i] = sign | ((size + 0xfff + ((size >>> 13) & 1)) & ~0x1fff);
    } else {
      // Below, steps of 2^-24: those of float32 between ½ and 1, so that adding ½ rounds.
      bits[0] = size;
      number[0]! += 0.5;
      number[0]! -= 0.5;
      words[i] = sign | bits[0];
    }
  }
}

const numbers = Float32Array.from({ length: 2 ** 16 }, (_, half) => numberOf(half));

/** What a number stands for that lies there as its 16 bits. */
export const fromFloat16 = (half: number): number => numbers[half]!;

export function fromHalves(halves: ArrayLike<number>): Float32Array {
  const values = new Float32Array(halves.length);
  for (let i = 0; i < values.length; i++) values[i] = fromFloat16(halves[i]!);
  return values;
}

function numberOf(half: number): number {
  const exponent = (half >>> 10) & 31;
  const mantissa = half & 1023;
  const size =
    exponent === 31
      ? mantissa === 0
        ? Infinity
        : NaN
      : exponent === 0
        ? mantissa * 2 ** -24
        : (mantissa + 1024) * 2 ** (exponent - 25);
  return half & 0x8000 ? -size : size;
}
