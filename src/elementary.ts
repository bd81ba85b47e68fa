/**
 * exp, log, sin, cos, tan and whole powers in plain arithmetic, which IEEE 754 prescribes to the bit. What `Math` gives is up to the engine: Chromium
 * 156 and Node 20 differ in the last bit of a tenth of all exponentials, and so would a run on the page and the same run in Node.
 * Within four units in the last place of the true value; near the zeros of sin, cos and tan within 1e-16. A leaf: every room may import it.
 */

/** ln 2 and π/2 in two parts; whole numbers below 2^20 times the first part are exact. */
const LN2 = [6.9314718036912381649e-1, 1.90821492927058770002e-10] as const;
const HALF_PI = [1.57079632673412561417, 6.07710050650619224932e-11] as const;

/** 1 / n! for n = 0 … 18. */
const factors: readonly number[] = Array.from({ length: 19 }, (_, n) => {
  let product = 1;
  for (let i = 2; i <= n; i++) product *= i;
  return 1 / product;
});

/** Taylor's series of e^r (step 1), or the odd or even half of it with changing signs (step 2), from `first` on. */
function series(r: number, first: number, step: 1 | 2): number {
  const square = step === 1 ? r : -(r * r);
  let sum = 0;
  for (let n = first + step * Math.floor((18 - first) / step); n >= first; n -= step) sum = sum * square + factors[n]!;
  return sum;
}

const bits = new DataView(new ArrayBuffer(8));

/** 2^k for −1022 ≤ k ≤ 1023. */
function powerOfTwo(k: number): number {
  bits.setUint32(0, (k + 1023) << 20);
  bits.setUint32(4, 0);
  return bits.getFloat64(0);
}

export function exp(x: number): number {
  if (!(x > -746)) return x !== x ? x : 0;
  if (x > 710) return Infinity;
  const k = Math.round(x / LN2[0]);
  const value = series(x - k * LN2[0] - k * LN2[1], 0, 1);
  // In two factors: the result may be smaller than the smallest power of two with all its bits, or nearly overflow.
  const half = Math.trunc(k / 2);
  return value * powerOfTwo(half) * powerOfTwo(k - half);
}

export function log(x: number): number {
  if (!(x > 0) || x === Infinity) return x === 0 ? -Infinity : x > 0 ? x : NaN;
  if (x < powerOfTwo(-1022)) return log(x * powerOfTwo(54)) - 54 * LN2[0] - 54 * LN2[1];
  bits.setFloat64(0, x);
  const high = bits.getUint32(0);
  let k = (high >>> 20) - 1023;
  bits.setUint32(0, (high & 0xfffff) | 0x3ff00000);
  let mantissa = bits.getFloat64(0);
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    k++;
  }
  // log m = 2 artanh f = 2 f (1 + f² / 3 + f⁴ / 5 + …) with |f| < 0.172.
  const f = (mantissa - 1) / (mantissa + 1);
  const square = f * f;
  let sum = 0;
  for (let n = 23; n >= 3; n -= 2) sum = (sum + 1 / n) * square;
  return k * LN2[0] + (2 * f + (2 * f * sum + k * LN2[1]));
}

/** Quarter turns and what is left of them; for |x| < 10^5. */
function quarters(x: number): readonly [turns: number, rest: number] {
  const k = Math.round(x / (HALF_PI[0] + HALF_PI[1]));
  return [k & 3, x - k * HALF_PI[0] - k * HALF_PI[1]];
}

export function sin(x: number): number {
  const [turns, r] = quarters(x);
  const value = turns % 2 === 0 ? r * series(r, 1, 2) : series(r, 0, 2);
  return turns < 2 ? value : -value;
}

export function cos(x: number): number {
  const [turns, r] = quarters(x);
  const value = turns % 2 === 0 ? series(r, 0, 2) : r * series(r, 1, 2);
  return turns === 0 || turns === 3 ? value : -value;
}

export function tan(x: number): number {
  return sin(x) / cos(x);
}

/** x^n for a whole n ≥ 0. */
export function power(x: number, n: number): number {
  let result = 1;
  for (let square = x; n > 0; n = Math.floor(n / 2), square *= square) if (n % 2 === 1) result *= square;
  return result;
}
