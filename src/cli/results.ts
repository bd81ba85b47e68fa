import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from '../platform/node/atomicWrite.ts';
import { replaceFolder } from '../platform/node/folder.ts';
import type { ExportedBytes } from '../export/index.ts';
import { unpacked } from '../registry/content.ts';
import type { Proof } from '../registry/proof.ts';
import { metricsOf, metricsText, type MetricsFile } from '../training/metricsFile.ts';
import { trainedModel } from '../training/trainedModel.ts';
import type { Checkpoint, RunStore } from '../training/types.ts';
import { openRegistry } from './registry.ts';
import type { Session } from './session.ts';
import { certificateInWords } from './versionWords.ts';
import { percent, quoted, table } from './words.ts';

/**
 * What a completed run leaves in `output.dir`: the Core ML package, its certificate and `metrics.json`. `certify`: whoever has images, and
 * the patience.
 */
export async function writeResults(
  session: Session,
  runs: RunStore,
  runId: string,
  dir: string,
  certify: (exported: ExportedBytes, checkpoint: Checkpoint) => Promise<Proof>,
) {
  const { checkpoint, run } = await trainedModel(runs, runId);
  const { output } = checkpoint.config;
  const exported = await session.model.exportModel({ runId, format: 'mlpackage', output });
  const certificateFile = join(dir, `${output.model_name}.mlpackage.certificate.json`);
  // That of an earlier package says nothing of this one.
  await rm(certificateFile, { force: true });
  const packageFolder = await writePackage(exported.blob, dir);
  const metrics = metricsOf(checkpoint, run);
  const metricsFile = join(dir, 'metrics.json');
  await writeWhole(metricsFile, metricsText(metrics));
  const candidate = { architecture: metrics.architecture, labels: metrics.dataset.classes };
  const { suggested } = await openRegistry(output.models_dir).list(candidate);
  const { fileName, blob } = exported;
  const proof = await certify({ fileName, bytes: new Uint8Array(await blob.arrayBuffer()) }, checkpoint);
  if ('certificate' in proof) await writeWhole(certificateFile, `${JSON.stringify(proof.certificate, null, 2)}\n`);
  return { packageFolder, metricsFile, metrics, suggested, proof };
}

/** Unpacks a zipped package into `dir`: there is the old one or the new one, never a mixture. Answers with its path. */
export async function writePackage(zip: Blob, dir: string): Promise<string> {
  const files = await unpacked(new Uint8Array(await zip.arrayBuffer()));
  const name = files[0]?.[0].split('/')[0] ?? '';
  const staged = join(dir, `.${name}.part`);
  await rm(staged, { recursive: true, force: true });
  for (const [path, bytes] of files) await writeWhole(join(staged, path), bytes);
  await replaceFolder(join(staged, name), join(dir, name));
  await rm(staged, { recursive: true, force: true });
  return join(dir, name);
}

/** The last lines of a run. */
export function summary(
  { packageFolder, metricsFile, metrics, suggested, proof }: Awaited<ReturnType<typeof writeResults>>,
  dir: string,
): string[] {
  return [
    '',
    ...table(
      [
        ['Test', testInWords(metrics)],
        ['Model', `epoch ${metrics.epoch} of ${metrics.epochs.length}, ${join(dir, 'checkpoint_best.safetensors')}`],
        ['Package', packageFolder],
        ['Certificate', 'certificate' in proof ? certificateInWords(proof.certificate) : `none. ${proof.uncertified}`],
        ['Figures', metricsFile],
        [
          'Next',
          `npm run sync-model -- --version ${suggested}${dir === 'output' ? '' : ` --set output.dir=${quoted(dir)}`}`,
        ],
      ],
      [0, 1],
    ),
  ];
}

function testInWords({ test, validation }: MetricsFile): string {
  if (test !== null) {
    const [low, high] = test.interval;
    return `${percent(test.accuracy)} of ${test.n} images right (95 % interval: ${percent(low)} to ${percent(high)})`;
  }
  return validation === null
    ? 'no images to test with'
    : `no images to test with; ${percent(validation.accuracy)} of ${validation.n} validation images right`;
}
