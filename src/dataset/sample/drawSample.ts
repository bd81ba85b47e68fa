import { encode } from 'fast-png';
import type { SampleSettings } from '../settings.ts';
import { devices } from './devices.ts';
import { drawRadiograph } from './radiograph.ts';

export interface SampleImage {
  /** `Train/MDT - Cedar/0001.png` */
  readonly path: string;
  readonly png: Uint8Array;
}

/** Number of images that `drawSample` yields. */
export function sampleCount(settings: SampleSettings): number {
  return settings.classes * (settings.train_per_class + settings.test_per_class);
}

/**
 * The synthetic data set: 8-bit grey PNG files of `size` × `size` pixels, in the order of their paths. The same bytes for
 * the same settings in every engine. An image depends on seed, class, split and its own number alone: asking for more
 * images or classes adds to the set and changes nothing in it.
 */
export function* drawSample(settings: SampleSettings): Generator<SampleImage> {
  const chosen = devices.slice(0, settings.classes).map((device, classIndex) => ({ device, classIndex }));
  chosen.sort((a, b) => (a.device.name < b.device.name ? -1 : 1));
  for (const split of ['Test', 'Train'] as const) {
    const count = split === 'Train' ? settings.train_per_class : settings.test_per_class;
    for (const { device, classIndex } of chosen) {
      for (let index = 0; index < count; index++) {
        const subject = { seed: settings.seed, classIndex, test: split === 'Test', index };
        const data = drawRadiograph(device, subject, settings.size);
        const number = String(index + 1).padStart(4, '0');
        yield { path: `${split}/${device.name}/${number}.png`, png: encodeGrey(data, settings.size) };
      }
    }
  }
}

/** `mem` is set because fflate derives its default from Math.log, which engines may round differently. */
function encodeGrey(data: Uint8Array, side: number): Uint8Array {
  return encode({ width: side, height: side, channels: 1, depth: 8, data }, { zlib: { level: 4, mem: 4 } });
}
