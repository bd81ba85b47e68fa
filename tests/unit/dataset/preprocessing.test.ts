import { readFileSync } from 'node:fs';
import JSZip from 'jszip';
import { describe, expect, it } from 'vitest';
import { centreCrop, evaluationCrop, resize, shortSideTo } from '../../../src/dataset/geometry.ts';
import { judged } from '../support/judged.ts';
import { decoder, differenceOf, foreign, photograph, photographs, type Pixels } from '../support/preprocessing.ts';

const command = 'npm test -- preprocessing';

/** Largest and mean difference of 255 that are let pass. Decoders of lossy files may round differently on other processors. */
const bounds = [
  { kind: 'PNG and lossless WebP', files: /\.png$|lossless.*\.webp$/, worst: 0, mean: 0 },
  { kind: 'JPEG and lossy WebP', files: /\.jpg$|lossy.*\.webp$/, worst: 1, mean: 0.01 },
] as const;

function judgedByKind(what: string, found: ReadonlyMap<string, { worst: number; mean: number }>): void {
  let count = 0;
  for (const { kind, files, worst, mean } of bounds) {
    const own = [...found].filter(([title]) => files.test(fileOf(title)));
    count += own.length;
    for (const [title, difference] of own) expect(difference.mean, title).toBeLessThanOrEqual(mean);
    judged({
      quantity: `${what}, ${kind}: largest difference of 255 from PIL`,
      network: '–',
      on: 'processor',
      error: Math.max(...own.map(([, difference]) => difference.worst)),
      tolerance: worst,
      command,
    });
  }
  expect(count).toBe(found.size);
}

/** `pagoda.jpg: short side` */
const fileOf = (title: string): string => title.replace(/:.*/, '');

async function filesByName(): Promise<Map<string, Uint8Array>> {
  const zip = await JSZip.loadAsync(readFileSync(new URL('../../fixtures/decoding.zip', import.meta.url)));
  const zipped = Object.values(zip.files).map(async (file) => [file.name, await file.async('uint8array')] as const);
  return new Map([
    ...(await Promise.all(zipped)),
    ...photographs.map((name) => [`photographs/${name}`, photograph(name)] as const),
  ]);
}

describe('pixels of files', () => {
  it('are PIL’s: every encoding, orientation applied, the upper byte of 16 bits', async () => {
    const files = await filesByName();
    expect([...files.keys()].sort()).toEqual(Object.keys(foreign.decoded).sort());
    const found = new Map<string, { worst: number; mean: number }>();
    for (const [name, expected] of Object.entries<Pixels>(foreign.decoded))
      found.set(name, differenceOf(await decoder.decode(files.get(name)!), expected));
    judgedByKind('decoding', found);
  });

  it('are not those of ImageFolder’s loader where that one turns nothing and lets 16 bits saturate', () => {
    const loader: Record<string, { differs: boolean; white: number; width: number; height: number }> = foreign.loader;
    const differing = photographs.filter((name) => loader[name]?.differs);
    expect(differing).toEqual(['dahlia turned.jpg', 'roofs 16 bit grey.png']);
    expect(loader['dahlia turned.jpg']).toMatchObject({ width: 203, height: 151 });
    expect(foreign.decoded['photographs/dahlia turned.jpg']).toMatchObject({ width: 151, height: 203 });
    expect(loader['roofs 16 bit grey.png']?.white).toBeGreaterThan(0.99);
  });
});

describe('photographs', () => {
  it('are resized as torchvision resizes them: the short side, and to a size', async () => {
    const found = new Map<string, { worst: number; mean: number }>();
    for (const [title, expected] of Object.entries(foreign.resized)) {
      const image = await decoder.decode(photograph(fileOf(title)));
      const to = expected.to;
      const { width, height } = Array.isArray(to) ? { width: to[1]!, height: to[0]! } : shortSideTo(to, image);
      found.set(title, differenceOf(resize(image, width, height), expected));
    }
    judgedByKind('Resize', found);
  });

  it('are cropped and squashed as by torchvision’s test transform', async () => {
    const found = new Map<string, { worst: number; mean: number }>();
    for (const [title, expected] of Object.entries(foreign.cropped)) {
      const image = await decoder.decode(photograph(fileOf(title)));
      const geometry = expected.geometry as 'center_crop' | 'squash';
      found.set(title, differenceOf(evaluationCrop(image, expected.size, geometry), expected));
    }
    judgedByKind('Resize and CenterCrop, or squash', found);
  });
});

describe('the crop of evaluation and a phone’s', () => {
  /** Vision's `.centerCrop`: the centred square of the original, scaled to `size`. Where pixel `at` (its centre) lies along the long side. */
  const phones = (at: number, long: number, short: number, size: number): number =>
    (long - short) / 2 + ((at + 0.5) * short) / size;

  it('lie less than a pixel of the network apart, whatever the image’s sides', () => {
    let furthest = 0;
    for (const size of [64, 96, 224]) {
      for (let short = 50; short <= 1200; short += 7) {
        for (let long = short; long <= 4 * short; long += 13) {
          const { width, left } = centreCrop({ width: long, height: short }, size);
          for (const at of [0, size - 1]) {
            const ours = ((left + at + 0.5) * long) / width;
            furthest = Math.max(furthest, (Math.abs(ours - phones(at, long, short, size)) * size) / short);
          }
        }
      }
    }
    judged({
      quantity: 'centre crop: pixels of the network between ours (torchvision’s) and the exact one (Vision’s)',
      network: '–',
      on: 'processor',
      error: furthest,
      tolerance: 1,
      command,
    });
  });
});
