import { rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { asWriteError, writeWhole } from '../platform/node/atomicWrite.ts';
import { exists, replaceFolder } from '../platform/node/folder.ts';
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
 * What a completed run leaves in `output.dir`: `metrics.json`, the Core ML package and its certificate. A package whose certificate failed
 * is held back. One that lies there already, of fewer epochs perhaps, goes before the new figures come: at no moment, and not after a kill
 * either, does a package lie beside figures that are not about it. `certify`: whoever has images, and the patience.
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
  const { fileName, blob, precision, weights } = await session.model.exportModel({
    runId,
    format: 'mlpackage',
    output,
  });
  const packageFolder = join(dir, `${output.model_name}.mlpackage`);
  const certificateFile = `${packageFolder}.certificate.json`;
  await rm(certificateFile, { force: true });
  const removed = await removePackage(packageFolder);
  const metrics = metricsOf(checkpoint, run);
  const metricsFile = join(dir, 'metrics.json');
  await writeWhole(metricsFile, metricsText(metrics));
  const candidate = { architecture: metrics.architecture, labels: metrics.dataset.classes };
  const { suggested } = await openRegistry(output.models_dir).list(candidate);
  const proof = await certify({ fileName, bytes: new Uint8Array(await blob.arrayBuffer()) }, checkpoint);
  const certificate = 'certificate' in proof ? proof.certificate : null;
  const heldBack = certificate?.passed === false;
  if (!heldBack) await writePackage(blob, dir);
  if (certificate !== null) await writeWhole(certificateFile, `${JSON.stringify(certificate, null, 2)}\n`);
  const written = { precision, weights };
  return { packageFolder, heldBack, removed, written, certificateFile, metricsFile, metrics, suggested, proof };
}
type Results = Awaited<ReturnType<typeof writeResults>>;

/** Where it is unpacked, and where it goes to be taken away: nobody looks there. */
const asideOf = (packageFolder: string): string => join(dirname(packageFolder), `.${basename(packageFolder)}.part`);

/** There is the whole one or none. Answers whether there was one. */
async function removePackage(packageFolder: string): Promise<boolean> {
  const aside = asideOf(packageFolder);
  await rm(aside, { recursive: true, force: true });
  if (!(await exists(packageFolder))) return false;
  try {
    await rename(packageFolder, aside);
  } catch (error) {
    throw asWriteError(error, packageFolder);
  }
  await rm(aside, { recursive: true, force: true });
  return true;
}

/** Unpacks a zipped package into `dir`: there is the old one or the new one, never a mixture. Answers with its path. */
export async function writePackage(zip: Blob, dir: string): Promise<string> {
  const files = await unpacked(new Uint8Array(await zip.arrayBuffer()));
  const name = files[0]?.[0].split('/')[0] ?? '';
  const staged = asideOf(join(dir, name));
  await rm(staged, { recursive: true, force: true });
  for (const [path, bytes] of files) await writeWhole(join(staged, path), bytes);
  await replaceFolder(join(staged, name), join(dir, name));
  await rm(staged, { recursive: true, force: true });
  return join(dir, name);
}

/** The last lines of a run. */
export function summary(results: Results, dir: string): string[] {
  const { packageFolder, heldBack, removed, certificateFile, metricsFile, metrics, suggested, proof } = results;
  const certificate = 'certificate' in proof ? certificateInWords(proof.certificate) : `none. ${proof.uncertified}`;
  const next = `npm run sync-model -- --version ${suggested}${dir === 'output' ? '' : ` --set output.dir=${quoted(dir)}`}`;
  return [
    '',
    ...table(
      [
        ['Test', testInWords(metrics)],
        ['Model', `epoch ${metrics.epoch} of ${metrics.epochs.length}, ${join(dir, 'checkpoint_best.safetensors')}`],
        [
          'Package',
          heldBack ? `none: held back${removed ? ', and the one that was there removed' : ''}` : packageFolder,
        ],
        ['Certificate', certificate],
        ...(heldBack ? [['', certificateFile]] : []),
        ['Figures', metricsFile],
        ...(heldBack ? [] : [['Next', next]]),
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
