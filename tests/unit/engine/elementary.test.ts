import { expect, it } from 'vitest';
import * as elementary from '../../../src/elementary.ts';
import fixture from '../../fixtures/elementary.json' with { type: 'json' };

/** Units in the last place between two doubles of one sign. */
function units(a: number, b: number): number {
  const [x, y] = new BigInt64Array(Float64Array.of(Math.abs(a), Math.abs(b)).buffer);
  return Object.is(Math.sign(a), Math.sign(b)) ? Math.abs(Number(x! - y!)) : Infinity;
}

it.each(['exp', 'log', 'sin', 'cos', 'tan'] as const)(
  '%s is that of 50 decimal digits, to two units in the last place',
  (name) => {
    const { x, y } = fixture[name];
    const apart = x.map((text, i) => {
      return units(elementary[name](Number(text)), Number(y[i]));
    });
    expect(Math.max(...apart)).toBeLessThanOrEqual(name === 'tan' ? 4 : 2);
  },
);

it('ends of the range are Math’s', () => {
  for (const x of [Infinity, -Infinity, NaN, 1000, -1000]) expect(elementary.exp(x)).toBe(Math.exp(x));
  for (const x of [Infinity, 0, -1, NaN]) expect(elementary.log(x)).toBe(Math.log(x));
});

it('powers: of two to the bit, others to a part in 10^13', () => {
  expect(elementary.power(2, 40)).toBe(2 ** 40);
  expect(elementary.power(0.5, 0)).toBe(1);
  // 0.999^1000, by Python's decimal arithmetic.
  expect(elementary.power(0.999, 1000)).toBeCloseTo(0.36769542477096373, 13);
});
