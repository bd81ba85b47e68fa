import { writeFileSync } from 'node:fs';
import JSZip from 'jszip';
import { drawSample } from '../../../src/dataset/sample/drawSample.ts';

export interface SampleWanted {
  readonly seed: number;
  readonly classes: number;
  readonly train_per_class: number;
  readonly test_per_class: number;
  readonly size: number;
}

/**
 * Some of the built-in data set as a zip, as somebody would bring it: drawn once for each of `parts`, which may differ in seed; `keep`
 * says which classes of it go in. Where two parts have a path in common, the later one's file is named anew.
 */
export async function writeSampleZip(
  file: string,
  parts: readonly { readonly wanted: SampleWanted; readonly keep: (className: string) => boolean }[],
): Promise<void> {
  const zip = new JSZip();
  for (const [i, { wanted, keep }] of parts.entries()) {
    for (const { path, png } of drawSample(wanted)) {
      if (!keep(path.split('/')[1] ?? '')) continue;
      zip.file(zip.file(path) === null ? path : path.replace('.png', `_${i}.png`), png);
    }
  }
  writeFileSync(file, await zip.generateAsync({ type: 'uint8array', compression: 'STORE' }));
}
