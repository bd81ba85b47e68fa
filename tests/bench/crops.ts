/**
 * What it takes to make of an image file what evaluation sees, in Node and in a worker of Chromium: decoding, resize and crop.
 *
 *     npm run bench -- crops
 *
 * A JPEG of 1600 × 1200 pixels (a photograph of the fixtures, enlarged, with a sensor's noise) and a PNG of 512 × 512 (a sample radiograph).
 */
import { readFileSync } from 'node:fs';
import { chromium } from '@playwright/test';
import sharp from 'sharp';
import { engineSite, ordered } from '../browser/engineSite.ts';
import { cropCost, type CropCost } from '../browser/engineSite/cropCost.ts';
import { drawSample } from '../../src/dataset/sample/drawSample.ts';
import { imageDecoder } from '../../src/platform/node/imageDecoder.ts';
import { random } from '../../src/random.ts';

const TIMES = 24;

const files: Readonly<Record<string, Uint8Array>> = {
  'JPEG, 1600 × 1200': await photograph(1600, 1200),
  'PNG, 512 × 512': radiograph(512),
};
const site = await engineSite();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
const page = await browser.newPage();
await page.goto(site.url);
for (const [name, file] of Object.entries(files)) {
  console.log(`\n${name}, ${(file.length / 1000).toFixed(0)} kB, to 224 px, medians of ${TIMES}:`);
  say('Node', await cropCost(imageDecoder(), file, TIMES));
  const text = Buffer.from(file).toString('base64');
  say(`Chromium ${browser.version()}`, await ordered(page, { kind: 'crop', file: text, times: TIMES }));
}
await browser.close();
await site.close();

async function photograph(width: number, height: number): Promise<Uint8Array> {
  const large = await sharp(readFileSync('tests/fixtures/photographs/pagoda.jpg'))
    .resize(width, height, { fit: 'fill' })
    .raw()
    .toBuffer();
  const { normal } = random(1, 1);
  const noisy = Uint8Array.from(large, (value) => Math.max(0, Math.min(255, value + 6 * normal())));
  return sharp(noisy, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 90 })
    .toBuffer();
}

function radiograph(size: number): Uint8Array {
  const [first] = drawSample({ seed: 1, classes: 6, train_per_class: 4, test_per_class: 1, size });
  if (first === undefined) throw new Error('The sample is empty.');
  return first.png;
}

function say(where: string, { decode, crop, inPass }: CropCost): void {
  const middle = (all: readonly number[]): string => {
    const sorted = [...all].sort((a, b) => a - b);
    return (sorted[sorted.length >> 1] ?? NaN).toFixed(1);
  };
  console.log(
    `  ${where}: decode ${middle(decode)} ms (at most ${Math.max(...decode).toFixed(0)}), resize and crop ${middle(crop)} ms (at most ` +
      `${Math.max(...crop).toFixed(0)}); ${inPass.toFixed(1)} ms an image in a pass, four at a time`,
  );
}
