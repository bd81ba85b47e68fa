import { expect, it } from 'vitest';
import { chiSquare, kolmogorovSmirnov } from './twoSamples.ts';

it('Kolmogorov–Smirnov: distance over √(−ln(0.0005) / 2 · (1/n + 1/m))', () => {
  // 3 of 10 against 10 of 20; the limit is 1.949 · √(1/10 + 1/20).
  const share = kolmogorovSmirnov([0, 3, 10], [0, 10, 20], 10, 20);
  expect(share).toBeCloseTo(0.2 / (1.9495 * Math.sqrt(0.15)), 4);
});

it('chi-square: the 2 × 2 table of a textbook, and the quantiles of a table', () => {
  // 20 of 50 against 30 of 50: χ² = 4. The quantile 0.999 is 10.83 for one degree of freedom (3 % less than approximated), 29.59 for ten.
  expect(chiSquare([20, 30], [30, 20])).toBeCloseTo(4 / 10.83, 1);
  const eleven = Array.from({ length: 11 }, () => 100);
  const shifted = eleven.map((count, i) => (i === 0 ? count + 20 : i === 1 ? count - 20 : count));
  expect(chiSquare(shifted, eleven)).toBeCloseTo((400 / 220 + 400 / 180) / 29.59, 2);
});
