import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { checkedDecoder } from '../../../src/dataset/decoding.ts';
import { turned } from '../../../src/dataset/orientation.ts';
import { imageDecoder } from '../../../src/platform/node/imageDecoder.ts';

/** Pillow's `exif_transpose` of [[0, 1, 2], [3, 4, 5]] for each orientation. */
const pillow: Readonly<Record<number, number[][]>> = {
  1: [
    [0, 1, 2],
    [3, 4, 5],
  ],
  2: [
    [2, 1, 0],
    [5, 4, 3],
  ],
  3: [
    [5, 4, 3],
    [2, 1, 0],
  ],
  4: [
    [3, 4, 5],
    [0, 1, 2],
  ],
  5: [
    [0, 3],
    [1, 4],
    [2, 5],
  ],
  6: [
    [3, 0],
    [4, 1],
    [5, 2],
  ],
  7: [
    [5, 2],
    [4, 1],
    [3, 0],
  ],
  8: [
    [2, 5],
    [1, 4],
    [0, 3],
  ],
};
const rgb = (values: number[]): Uint8Array => Uint8Array.from(values.flatMap((value) => [value, value + 100, 7]));

describe('a WebP’s orientation', () => {
  it.each(Object.entries(pillow))('%s: as Pillow', (orientation, rows) => {
    const image = { width: 3, height: 2, data: rgb([0, 1, 2, 3, 4, 5]) };
    expect(turned(image, Number(orientation))).toEqual({
      width: rows[0]?.length,
      height: rows.length,
      data: rgb(rows.flat()),
    });
  });

  it.each([1, 3, 6, 8])('is heeded here, whatever the platform’s decoder does: %s', async (orientation) => {
    const raw = Buffer.from(rgb([0, 10, 20, 30, 40, 50]));
    const webp = await sharp(raw, { raw: { width: 3, height: 2, channels: 3 } })
      .withMetadata({ orientation })
      .webp({ lossless: true })
      .toBuffer();
    const rows = pillow[orientation] ?? [];
    expect(await checkedDecoder(imageDecoder()).decode(webp)).toEqual({
      width: rows[0]?.length,
      height: rows.length,
      data: rgb(rows.flat().map((value) => value * 10)),
    });
    let seen = 0;
    const platform = {
      decode: async (file: Uint8Array) => (
        (seen = (await sharp(file).metadata()).orientation ?? 1),
        imageDecoder().decode(file)
      ),
    };
    await checkedDecoder(platform).decode(webp);
    expect(seen).toBe(1);
  });

  it('is 1 where what is there makes no sense', async () => {
    const raw = Buffer.from(rgb([0, 10, 20, 30, 40, 50]));
    const webp = await sharp(raw, { raw: { width: 3, height: 2, channels: 3 } })
      .withMetadata({ orientation: 6 })
      .webp({ lossless: true })
      .toBuffer();
    const chunk = webp.indexOf('EXIF') + 8;
    const tiff = chunk + (webp.subarray(chunk, chunk + 4).toString() === 'Exif' ? 6 : 0);
    // Not TIFF's number; a directory past the end; a directory of no entries.
    for (const [offset, byte] of [
      [2, 0],
      [5, 255],
      [8, 0],
    ] as const) {
      const broken = Uint8Array.from(webp);
      broken[tiff + offset] = byte;
      expect((await checkedDecoder(imageDecoder()).decode(broken)).width).toBe(3);
    }
  });
});
