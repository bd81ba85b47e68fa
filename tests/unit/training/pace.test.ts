import { expect, it } from 'vitest';
import { createPace } from '../../../src/training/handlers/pace.ts';

it('takes an image of Test for one that was never decoded, as in the first validation pass', () => {
  const pace = createPace({ val: 10, test: 20, batch: 5 });
  for (let i = 0; i < 4; i++) pace.step(3, 5);
  // 3 s a step of 5 images: 0.2 s to judge one.
  expect(pace.eta(2, 1)).toBeCloseTo(2 * 3 + 10 * 0.2 + 20 * 0.2);
  pace.validation(40);
  pace.validation(1);
  expect(pace.eta(2, 3)).toBeCloseTo(2 * 3 + 3 * 1 + 20 * 4);
  expect(pace.eta(0, 0)).toBeCloseTo(80);
});

it('forecasts an epoch from its first steps, the first of all left out, and the validation from them or as it was', () => {
  const pace = createPace({ val: 10, test: 20, batch: 5 });
  pace.step(60, 5);
  for (let i = 0; i < 2; i++) pace.step(3, 5);
  expect(pace.epoch(40)).toBeNull();
  pace.step(3, 5);
  expect(pace.epoch(40)).toBeCloseTo(40 * 3 + 10 * 0.2);
  pace.validation(7);
  expect(pace.epoch(40)).toBeCloseTo(40 * 3 + 7);
});
