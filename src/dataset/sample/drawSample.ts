import { encode } from 'fast-png';
import type { SampleSettings } from '../settings.ts';
import { devices } from './devices.ts';
import { drawRadiograph } from './radiograph.ts';

export interface SampleImage {
  /** `Train/MDT - Cedar/0001.png` */
  readonly path: string;
  /** An 8-bit grey PNG file of `size` × `size` pixels. */
  draw(): Uint8Array;
}

/**
 * The synthetic data set, in the order of its paths; images are drawn when asked for. The same bytes for the same settings in
 * every engine. An image depends on seed, class, split and its own number alone: asking for more images or classes adds
 * to the set and changes nothing in it.
 */
export function sampleImages(settings: SampleSettings): SampleImage[] {
  const { seed, size } = settings;
  const chosen = devices.slice(0, settings.classes).map((device, classIndex) => ({ device, classIndex }));
  chosen.sort((a, b) => (a.device.name < b.device.name ? -1 : 1));
  return (['Test', 'Train'] as const).flatMap((split) =>
    chosen.flatMap(({ device, classIndex }) => {
      const count = split === 'Train' ? settings.train_per_class : settings.test_per_class;
      return Array.from({ length: count }, (_, index) => ({
        path: `${split}/${device.name}/${String(index + 1).padStart(4, '0')}.png`,
        draw: () => encodeGrey(drawRadiograph(device, { seed, classIndex, test: split === 'Test', index }, size), size),
      }));
    }),
  );
}

/** All of it as files. */
export function* drawSample(settings: SampleSettings): Generator<{ path: string; png: Uint8Array }> {
  for (const { path, draw } of sampleImages(settings)) yield { path, png: draw() };
}

/** `mem` is set because fflate derives its default from Math.log, which engines may round differently. */
function encodeGrey(data: Uint8Array, side: number): Uint8Array {
  return encode({ width: side, height: side, channels: 1, depth: 8, data }, { zlib: { level: 4, mem: 4 } });
}
