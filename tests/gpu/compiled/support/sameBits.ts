import { expect } from 'vitest';

/** The same bits in the same places. Says the first place where they aren't: a whole diff of such arrays takes minutes. */
export function sameBits(found: readonly Float32Array[], expected: readonly Float32Array[]): void {
  expect(found.length).toBe(expected.length);
  found.forEach((array, which) => {
    const [a, b] = [array, expected[which]!].map((one) => new Uint32Array(one.buffer, one.byteOffset, one.length));
    expect(a!.length).toBe(b!.length);
    const at = a!.findIndex((word, i) => word !== b![i]);
    if (at >= 0) expect(array[at], `array ${which}, float ${at}`).toBe(`${expected[which]![at]}, to the bit`);
  });
}
