/**
 * What the network sees of an image file outside training, for the judges in tests/python:
 *
 *     node scripts/run.mjs tests/tools/evaluationPixels.ts IMAGE SIZE center_crop|squash OUT
 *
 * OUT: size · size · 3 bytes, RGB.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { checkedDecoder } from '../../src/dataset/decoding.ts';
import { evaluationCrop } from '../../src/dataset/geometry.ts';
import { imageDecoder } from '../../src/platform/node/imageDecoder.ts';

const [path, size, geometry, out] = process.argv.slice(2) as [string, string, 'center_crop' | 'squash', string];
const image = await checkedDecoder(imageDecoder()).decode(new Uint8Array(readFileSync(path)));
writeFileSync(out, evaluationCrop(image, Number(size), geometry).data);
