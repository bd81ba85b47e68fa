import { encode } from 'fast-png';
import type { Golden } from '../../parity/types.ts';
import { digits } from '../digits.ts';
import { cropOption } from '../vision.ts';
import type { BundledFile, BundleInput } from './types.ts';

/** `golden/golden.json`. The Swift in swift.ts reads it. */
interface GoldenJson {
  readonly schema: 1;
  /** Side of the images, pixels: the model's own, so that nothing is scaled. */
  readonly imageSize: number;
  readonly labels: readonly string[];
  readonly imageCropAndScaleOption: string;
  readonly models: readonly {
    /** As it lies in the bundle. */
    readonly file: string;
    readonly format: string;
    readonly maxDifference: number;
    readonly maxFlips: number;
  }[];
  readonly images: readonly {
    /** Beside this file. */
    readonly file: string;
    /** An index into `labels`. */
    readonly label: number;
    /** Probabilities in the order of `labels`: of the trained model, and by format of the exported ones (JSON has null for no number). */
    readonly trained: readonly number[];
    readonly exported: Readonly<Record<string, readonly number[]>>;
  }[];
}

/**
 * What lies in `golden/`, by path: each image once, however many models were compared by it, as PNG without loss, and `golden.json`. Their
 * names in the data set stay out: they may be patients'. Empty where no model was compared.
 */
export function goldenFiles(
  input: BundleInput,
  files: readonly BundledFile[],
): ReadonlyMap<string, Uint8Array | string> {
  const found = new Map<string, Uint8Array | string>();
  /** By its name in the data set, and how often that has come: a data set may hold a path twice. */
  const images = new Map<string, { golden: Golden; exported: Record<string, number[]> }>();
  for (const { id, goldens } of files) {
    const times = new Map<string, number>();
    for (const golden of goldens) {
      const nth = (times.get(golden.name) ?? 0) + 1;
      times.set(golden.name, nth);
      const key = `${nth} ${golden.name}`;
      const image = images.get(key) ?? { golden, exported: {} };
      image.exported[id] = [...golden.exported].map(digits);
      images.set(key, image);
    }
  }
  if (images.size === 0) return found;
  const side = input.imageSize;
  const described = [...images.values()].map(({ golden, exported }, index) => {
    const { label, pixels, trained } = golden;
    if (pixels.length !== side * side * 3)
      throw new RangeError(`${pixels.length} bytes are no image of ${side} × ${side} pixels.`);
    const file = `${String(index + 1).padStart(4, '0')}.png`;
    // `mem` is set because fflate derives its default from Math.log, which engines may round differently.
    const options = { zlib: { level: 6, mem: 4 } } as const;
    found.set(
      `golden/${file}`,
      encode({ width: side, height: side, channels: 3, depth: 8, data: Uint8Array.from(pixels) }, options),
    );
    return { file, label, trained: [...trained].map(digits), exported };
  });
  const json: GoldenJson = {
    schema: 1,
    imageSize: side,
    labels: input.labels,
    imageCropAndScaleOption: cropOption[input.metadata.geometry],
    models: files.flatMap((file) => {
      const { id, certificate } = file;
      if (certificate === null) return [];
      return [{ file: placeOf(file), format: id, ...certificate.thresholds }];
    }),
    images: described,
  };
  return found.set('golden/golden.json', `${JSON.stringify(json, null, 1)}\n`);
}

/** Where a model lies in the bundle: a package as a folder. */
export function placeOf({ id, fileName }: Pick<BundledFile, 'id' | 'fileName'>): string {
  return id === 'mlpackage' ? fileName.replace(/\.zip$/, '') : fileName;
}
