/**
 * Reads an exported model with our independent reader and runs it with our interpreter, for the judges in tests/python:
 *
 *     node scripts/run.mjs tests/tools/runParity.ts FORMAT FILE IMAGES.json OUT.json
 *
 * FORMAT: mlpackage, mlmodel, onnx, tfjs. IMAGES.json: {"imageSize", "images": [{"rgb": base64 of [size, size, 3]}]}. OUT.json: {"labels",
 * "probabilities": [[…]], "makers": {"names", "probabilities"} | null, "precision", "eightBit", "operations": {kind: count}, "seconds": […]
 * one an image}.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { interpreter } from '../../src/parity/interpreter/index.ts';
import { readers } from '../../src/parity/readers.ts';
import type { CertifiedFormat } from '../../src/parity/types.ts';

const [format, file, imagesPath, outPath] = process.argv.slice(-4) as [CertifiedFormat, string, string, string];
const read = readers[format];
if (read === undefined) throw new Error(`There is no reader of ${format} files.`);
const model = await read(readFileSync(file));
const { run } = interpreter(model);
const { images } = JSON.parse(readFileSync(imagesPath, 'utf8')) as { readonly images: readonly { rgb: string }[] };

const probabilities: number[][] = [];
const makers: number[][] = [];
const seconds: number[] = [];
for (const { rgb } of images) {
  const began = performance.now();
  const result = await run(Buffer.from(rgb, 'base64'));
  seconds.push((performance.now() - began) / 1000);
  if (result.notFinite !== null) console.error(`“${result.notFinite}” gives numbers that are not finite`);
  probabilities.push([...result.probabilities]);
  if (result.makers !== null) makers.push([...result.makers]);
}
const operations: Record<string, number> = {};
for (const { kind } of model.operations) operations[kind] = (operations[kind] ?? 0) + 1;
writeFileSync(
  outPath,
  JSON.stringify({
    labels: model.labels,
    probabilities,
    makers: model.makers && { names: model.makers.names, probabilities: makers },
    precision: model.precision,
    eightBit: model.eightBit,
    operations,
    seconds,
  }),
);
