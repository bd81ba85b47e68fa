import { expect, it } from 'vitest';
import { noise } from '../../../../src/engine/compiled/tuning/alone.ts';
import { fromFloat16 } from '../../../../src/weights/float16.ts';

it('what products are measured on is of ordinary size, read as float32 and as float16', () => {
  const values = noise(5000);
  const sizes = (some: Float32Array): readonly [number, number] => {
    const all = [...some].map(Math.abs);
    return [Math.min(...all), Math.max(...all)];
  };
  const [least, most] = sizes(values);
  expect(least).toBeGreaterThan(1e-4);
  expect(most).toBeLessThan(0.51);
  const [leastHalf, mostHalf] = sizes(fromFloat16(new Uint16Array(values.buffer)));
  expect(leastHalf).toBeGreaterThan(1e-4);
  expect(mostHalf).toBeLessThan(2);
  expect(new Set(values).size).toBeGreaterThan(200);
});
