import { readFileSync } from 'node:fs';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { checkedDecoder } from '../../../src/dataset/decoding.ts';
import type { RgbImage } from '../../../src/dataset/types.ts';
import { imageDecoder } from '../../../src/platform/node/imageDecoder.ts';
import fixture from '../../fixtures/preprocessing.json' with { type: 'json' };

/** What PIL and torchvision make of files: tests/python/make_preprocessing.py. */
export const foreign = fixture;

export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly sha256: string;
  readonly samples: string;
}

export const photographs: readonly string[] = Object.keys(foreign.loader);

export function photograph(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL(`../../fixtures/photographs/${name}`, import.meta.url)));
}

/** As the page and Node read any file. */
export const decoder = checkedDecoder(imageDecoder());

/**
 * The largest and the mean difference of 255, 0 where all bytes are equal; else told by the samples, at least a level. Infinite for another
 * size.
 */
export function differenceOf(image: RgbImage, expected: Pixels): { worst: number; mean: number } {
  const { data, width, height } = image;
  if (width !== expected.width || height !== expected.height) return { worst: Infinity, mean: Infinity };
  if (bytesToHex(sha256(data)) === expected.sha256) return { worst: 0, mean: 0 };
  const samples = Buffer.from(expected.samples, 'base64');
  const differences = Array.from(samples, (value, i) =>
    Math.abs(value - (data[Math.floor((i * data.length) / samples.length)] ?? NaN)),
  );
  const mean = differences.reduce((sum, one) => sum + one, 0) / differences.length;
  return { worst: Math.max(1, ...differences), mean: Math.max(mean, 1 / data.length) };
}
