import { describe, expect, it } from 'vitest';
import { architectures } from '../../../src/architectures/index.ts';
import type { ArchitectureName } from '../../../src/architectures/settings.ts';
import { fillWords, fnv1a32, philox4x32, random } from '../../../src/random.ts';
import samples from '../../fixtures/formula.json' with { type: 'json' };
import { formulaImages, formulaTensor, initialTensor } from './formulaWeights.ts';

describe('Philox4x32-10', () => {
  // Random123's kat_vectors.
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])('gives the published words for counter %j and key %j', (counter, key, words) => {
    expect(philox4x32(counter as [number, number, number, number], key as [number, number])).toEqual(words);
  });

  it('gives the first uniform numbers of a stream as words over 2^32', () => {
    const { uniform } = random(0);
    expect([uniform(), uniform(), uniform(), uniform()]).toEqual(
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8].map((word) => word / 2 ** 32),
    );
  });

  it.each([0, 5, 42, 2 ** 40 + 7])(
    'fills a list with the draws of a stream, in whole blocks or not (seed %i)',
    (seed) => {
      for (const length of [0, 3, 8, 21]) {
        const words = new Uint32Array(length);
        fillWords(words, seed, [2 ** 32 - 1, 7, 9]);
        // Block by block, as the counter says.
        const byHand = Array.from({ length: Math.ceil(length / 4) }, (_, i) =>
          philox4x32([i, 2 ** 32 - 1, 7, 9], [seed % 2 ** 32, Math.floor(seed / 2 ** 32)]),
        ).flat();
        expect([...words]).toEqual(byHand.slice(0, length));
        const { uniform } = random(seed, 2 ** 32 - 1, 7, 9);
        expect([...words].map((word) => word / 2 ** 32)).toEqual(Array.from(words, uniform));
      }
    },
  );
});

it('FNV-1a gives the published hashes', () => {
  // http://www.isthe.com/chongo/src/fnv/test_fnv.c
  expect(fnv1a32('')).toBe(0x811c9dc5);
  expect(fnv1a32('a')).toBe(0xe40c292c);
  expect(fnv1a32('foobar')).toBe(0xbf9cf968);
});

describe('weights and images by formula', () => {
  it.each(Object.entries(samples.tensors))('%s has the same bits as in numpy', (name, { shape, at, values }) => {
    const data = formulaTensor(name, shape);
    expect(at.map((i) => data[i])).toEqual(values);
  });

  it.each(Object.entries(samples.initial))('%s, new, has the same bits as in numpy', (architecture, tensors) => {
    const rule = architectures[architecture as ArchitectureName].initialisation;
    for (const [name, { shape, at, values }] of Object.entries(tensors)) {
      const data = initialTensor(rule, name, shape);
      expect(at.map((i) => data[i])).toEqual(values);
    }
  });

  it.each(Object.entries(samples.images))('images of %s pixels have the same bits as in numpy', (size, sample) => {
    const data = formulaImages(2, Number(size));
    expect(sample.at.map((i) => data[i])).toEqual(sample.values);
  });
});
