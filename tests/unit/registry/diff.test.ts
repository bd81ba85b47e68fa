import { expect, it } from 'vitest';
import { testSetsDiffer } from '../../../src/registry/diff.ts';
import type { VersionRecord } from '../../../src/registry/types.ts';

const tested = (n: number, hash: string): Pick<VersionRecord, 'test' | 'dataset'> => ({
  test: { n, accuracy: 0.5, interval: [0.4, 0.6], loss: 1 },
  dataset: { name: 'devices', hash, synthetic: false, images: null },
});

it('versions judged on other images are not compared without a word', () => {
  expect(testSetsDiffer(tested(16, 'a'), tested(16, 'a'))).toBe('');
  expect(testSetsDiffer(tested(16, 'a'), tested(24, 'b'))).toMatch(/n = 16 and n = 24/);
  expect(testSetsDiffer(tested(16, 'a'), tested(16, 'b'))).toMatch(/may differ/);
});
