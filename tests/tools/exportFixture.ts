/**
 * Exports a weights file without the page, for the judges in tests/python:
 *
 *     node scripts/run.mjs tests/tools/exportFixture.ts WEIGHTS.safetensors OPTIONS.json OUT [OPTIONS.json OUT …]
 *
 * OPTIONS.json: {"architecture", "labels": [...], "imageSize", "precision", "format"?: "mlpackage"|"onnx"|…, "temperature"?,
 * "weightStorage"?, "makerOutput"?, "geometry"?, "batchNormEps"?}.
 * Prints a line of JSON for each: seconds, bytes, and by how many MiB the export raised the process's peak memory.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { architectures } from '../../src/architectures/index.ts';
import type { ArchitectureName } from '../../src/architectures/settings.ts';
import { exportFormats, type ExportFormatId, type ExportInput, type Precision } from '../../src/export/index.ts';
import { withBatchNormEps } from '../../src/graph/batchNormEps.ts';
import { readSafetensors } from '../../src/weights/safetensors.ts';

interface Options extends Partial<Pick<ExportInput, 'temperature' | 'weightStorage' | 'makerOutput'>> {
  readonly architecture: ArchitectureName;
  readonly labels: readonly string[];
  readonly imageSize: number;
  readonly precision: Precision;
  readonly format?: ExportFormatId;
  readonly geometry?: ExportInput['metadata']['geometry'];
  readonly batchNormEps?: number;
}

const [weightsPath, ...pairs] = process.argv.slice(2) as [string, ...string[]];
const { tensors } = readSafetensors(readFileSync(weightsPath));
for (let pair = 0; pair < pairs.length; pair += 2) await exportOne(pairs[pair] as string, pairs[pair + 1] as string);

async function exportOne(optionsPath: string, outPath: string): Promise<void> {
  const options = JSON.parse(readFileSync(optionsPath, 'utf8')) as Options;
  const architecture = architectures[options.architecture];
  const graph = withBatchNormEps(architecture.build(options.labels.length), options.batchNormEps);

  // The highest resident set so far, in KiB; the weights file has been read by now.
  const before = process.resourceUsage().maxRSS;
  const started = performance.now();
  const { fileName, bytes } = await exportFormats[options.format ?? 'mlpackage'].write({
    name: 'PacerIDClassifier',
    graph,
    weights: tensors,
    labels: options.labels,
    imageSize: options.imageSize,
    mean: architecture.mean,
    std: architecture.std,
    precision: options.precision,
    temperature: options.temperature ?? 1,
    weightStorage: options.weightStorage ?? 'full',
    makerOutput: options.makerOutput ?? false,
    metadata: {
      author: 'tests',
      description: 'A fixture.',
      intendedUse: 'Tests only. Not a medical device.',
      version: '1.0.0',
      config: JSON.stringify({ model: { architecture: options.architecture } }),
      dataset: { name: 'none', hash: '0'.repeat(64), synthetic: true },
      test: { n: 10, accuracy: 0.9, interval: [0.6, 0.98] },
      geometry: options.geometry ?? 'center_crop',
    },
  });
  const seconds = (performance.now() - started) / 1000;
  const extraMiB = Math.round((process.resourceUsage().maxRSS - before) / 1024);
  writeFileSync(outPath, bytes);
  console.log(JSON.stringify({ fileName, seconds, bytes: bytes.length, extraMiB }));
}
