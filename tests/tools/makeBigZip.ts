/**
 * `node scripts/run.mjs tests/tools/makeBigZip.ts FILE.zip [IMAGES] [SEED]`: a zip of 1,100 JPEG images of 1–2 megapixels, about
 * 400 MB, to measure imports with. Sample radiographs enlarged, with noise that JPEG cannot squeeze. Written as a stream.
 */
import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { Uint8ArrayReader, ZipWriter } from '@zip.js/zip.js';
import sharp from 'sharp';
import { sampleImages } from '../../src/dataset/sample/drawSample.ts';
import { random } from '../../src/random.ts';

const [file = 'big.zip', images = '1100', seed = '1'] = process.argv.slice(2);
const classes = 10;
const perClass = Math.ceil(Number(images) / classes);
const test = Math.max(1, Math.floor(perClass / 11));
const settings = { seed: Number(seed), classes, train_per_class: perClass - test, test_per_class: test, size: 192 };

const draw = random(Number(seed), 0x626967);
const noise = Uint8Array.from({ length: 4_000_003 }, () => 108 + draw.integer(24) + draw.integer(18));

async function photograph(png: Uint8Array): Promise<Uint8Array> {
  const megapixels = draw.between(1, 2);
  const ratio = draw.between(0.7, 1.4);
  const width = Math.round(Math.sqrt(megapixels * 1e6 * ratio));
  const height = Math.round(Math.sqrt((megapixels * 1e6) / ratio));
  const { data } = await sharp(png)
    .resize(width, height, { fit: 'fill' })
    .toColourspace('b-w')
    .raw()
    .toBuffer({ resolveWithObject: true });
  const shift = draw.integer(noise.length - data.length);
  for (let i = 0; i < data.length; i++) {
    data[i] = Math.max(0, Math.min(255, (data[i] as number) + (noise[shift + i] as number) - 128));
  }
  const jpeg = sharp(data, { raw: { width, height, channels: 1 } })
    .toColourspace('srgb')
    .jpeg({ quality: 85 });
  return new Uint8Array(await jpeg.toBuffer());
}

const writer = new ZipWriter(Writable.toWeb(createWriteStream(file)) as WritableStream, {
  useWebWorkers: false,
  level: 0,
});
let done = 0;
for (const image of sampleImages(settings)) {
  await writer.add(`big/${image.path.replace('.png', '.jpg')}`, new Uint8ArrayReader(await photograph(image.draw())));
  if (++done % 100 === 0) console.log(`${done} images`);
}
await writer.close();
console.log(`${file}: ${done} images, ${((await stat(file)).size / 1e6).toFixed(0)} MB`);
