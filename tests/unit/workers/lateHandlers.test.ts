import { expect, it } from 'vitest';
import { lateHandlers } from '../../../src/workers/lateHandlers.ts';

interface Part {
  double(n: number): number | Promise<number>;
  greet(name: string): Promise<string>;
}
const part: Part = { double: (n) => 2 * n, greet: (name) => Promise.resolve(`Hello, ${name}`) };

it('fetches the part with the first command, once for all of them', async () => {
  let fetched = 0;
  const handlers = lateHandlers<Part>(() => Promise.resolve({ part, n: ++fetched }).then((found) => found.part), {
    double: true,
    greet: true,
  });
  expect(fetched).toBe(0);
  expect(await Promise.all([handlers.double(21), handlers.greet('you')])).toEqual([42, 'Hello, you']);
  expect(fetched).toBe(1);
});

it('a part that did not come fails the command that wanted it, and is asked for again by the next', async () => {
  let tries = 0;
  const handlers = lateHandlers<Part>(
    () => (++tries === 1 ? Promise.reject(new Error('no network')) : Promise.resolve(part)),
    { double: true, greet: true },
  );
  await expect(handlers.greet('you')).rejects.toThrow('no network');
  expect(await handlers.greet('you')).toBe('Hello, you');
});
