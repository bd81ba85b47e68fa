import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { drawSample, sampleImages } from '../../../src/dataset/sample/drawSample.ts';
import type { SampleSettings } from '../../../src/dataset/settings.ts';

const base = parse(readFileSync(new URL('../../../configs/base.yaml', import.meta.url), 'utf8')) as {
  data: { sample: SampleSettings };
};
const defaults = base.data.sample;

describe('the sample data set', () => {
  it('has the same bytes everywhere: the default set’s SHA-256', () => {
    const hash = sha256.create();
    let count = 0;
    for (const { path, png } of drawSample(defaults)) {
      hash.update(new TextEncoder().encode(`${path}\n`)).update(png);
      count++;
    }
    expect(count).toBe(defaults.classes * (defaults.train_per_class + defaults.test_per_class));
    expect(bytesToHex(hash.digest())).toBe('a90e6ad9780579ef5df17195115a9ca95f0ddfe800b56e2c5331a1d2ee7e9db6');
  });

  it('grows without changing: more classes and images leave the others as they were', () => {
    const small = { seed: 3, classes: 6, train_per_class: 4, test_per_class: 2, size: 64 };
    const large = sampleImages({ ...small, classes: 10, train_per_class: 5, test_per_class: 3 });
    for (const { path, draw } of sampleImages(small).filter((_, i) => i % 7 === 0)) {
      expect(large.find((image) => image.path === path)?.draw()).toEqual(draw());
    }
    expect(large).toHaveLength(80);
  });

  it('differs by seed, split and number', () => {
    const of = (seed: number) => sampleImages({ ...defaults, seed, train_per_class: 4, test_per_class: 2, size: 64 });
    const files = [...of(1), ...of(2)].filter(({ path }) => path.includes('Alder')).map(({ draw }) => draw().join());
    expect(new Set(files).size).toBe(12);
  });

  it('is grey PNG that libvips reads', async () => {
    const [image] = sampleImages({ ...defaults, size: 96 });
    const found = await sharp(image?.draw()).metadata();
    expect(found).toMatchObject({ format: 'png', width: 96, height: 96, channels: 1, depth: 'uchar' });
  });
});
