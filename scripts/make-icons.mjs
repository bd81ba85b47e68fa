#!/usr/bin/env node
/** Draws public/icon-*.png from public/icon.svg: `node scripts/make-icons.mjs`. Run it when the drawing changes. */
import { join } from 'node:path';
import sharp from 'sharp';

const folder = join(import.meta.dirname, '..', 'public');
const drawing = join(folder, 'icon.svg');
const ground = '#0d1013';

for (const side of [192, 512]) {
  await sharp(drawing, { density: 900 })
    .resize(side, side)
    .png({ palette: true })
    .toFile(join(folder, `icon-${side}.png`));
}
// A phone cuts its own shape out of it: what matters lies within the middle four fifths.
const inner = await sharp(drawing, { density: 900 }).resize(360, 360).png().toBuffer();
await sharp({ create: { width: 512, height: 512, channels: 4, background: ground } })
  .composite([{ input: inner }])
  .png({ palette: true })
  .toFile(join(folder, 'icon-maskable-512.png'));
