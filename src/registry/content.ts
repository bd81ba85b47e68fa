import JSZip from 'jszip';
import { exportFormats, type ExportedBytes } from '../export/index.ts';
import type { OutputSettings } from '../export/settings.ts';
import { metricsOf, metricsText } from '../training/metricsFile.ts';
import type { RunState } from '../training/runState.ts';
import { originInWords } from '../training/originInWords.ts';
import type { Checkpoint, RunConfig } from '../training/types.ts';
import { hashBytes } from './checksums.ts';
import { exportInput } from './exportInput.ts';
import { certificateIn, proofFiles, proofOfBytes, type Proof } from './proof.ts';
import { recordText } from './record.ts';
import type { Files, Sha256, VersionRecord } from './types.ts';

/** What a version is made of. */
export interface VersionSource {
  /** `v1.2.0` */
  readonly version: string;
  /** ms since the epoch. */
  readonly createdAt: number;
  readonly checkpoint: Checkpoint;
  /** What its run's log folds to. */
  readonly run: Pick<RunState, 'test' | 'adapter' | 'dataset' | 'history'>;
  /** Name and metadata of the package; the number in it is the version's. */
  readonly output: OutputSettings;
  /** The configuration as YAML: `config/` writes it. */
  readonly yaml: (config: RunConfig) => string;
  /** Reads the package back, zipped as the user would download it, and compares it with the trained model. */
  readonly certify: (exported: ExportedBytes, checkpoint: Checkpoint) => Promise<Proof>;
  /** Absent: the one that runs everywhere. */
  readonly hash?: Sha256;
}

export interface VersionContent {
  readonly record: VersionRecord;
  /** By path in the version's folder, without `SHA256SUMS` and `notes.md`. Equal sources give equal bytes. */
  readonly files: Files;
}

export async function versionContent(source: VersionSource): Promise<VersionContent> {
  const { version, checkpoint, hash: sha256 = hashBytes } = source;
  const output = { ...source.output, version: version.slice(1) };
  const config: RunConfig = { ...checkpoint.config, output };
  const metrics = metricsOf({ ...checkpoint, config }, source.run);
  const input = exportInput(checkpoint, config, metrics.test);
  const labels = checkpoint.dataset.classes;
  const text = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(value);
  const exported = await exportFormats.mlpackage.write(input);
  const proof = proofOfBytes(await source.certify(exported, { ...checkpoint, config }), exported.bytes, sha256);
  const files = new Map([
    ...(await unpacked(exported.bytes)),
    ...proofFiles(proof, sha256),
    ['weights.safetensors', (await exportFormats.safetensors.write({ ...input, precision: 'float32' })).bytes],
    ['config.yaml', text(source.yaml(config))],
    ['metrics.json', text(metricsText(metrics))],
    // A line break in a label would shift all that come after it; version.json has the labels as they are.
    ['labels.txt', text(labels.map((label) => `${label.replace(/\s+/g, ' ')}\n`).join(''))],
  ]);
  const { name, hash, synthetic } = checkpoint.dataset;
  const record: VersionRecord = {
    schema: 2,
    version,
    createdAt: source.createdAt,
    modelName: output.model_name,
    architecture: checkpoint.architecture,
    labels,
    dataset: { name, hash, synthetic, images: metrics.dataset.counts },
    test: metrics.test && {
      n: metrics.test.n,
      accuracy: metrics.test.accuracy,
      interval: metrics.test.interval,
      loss: metrics.test.loss,
    },
    validation: metrics.validation,
    epoch: checkpoint.epoch,
    startedFrom: originInWords(checkpoint.origin),
    ...certificateIn(proof, files, output.model_name, sha256),
    bytes: [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0),
  };
  files.set('version.json', text(recordText(record)));
  return { record, files };
}

/** The files of a zipped package by their paths, its own folder at the top. */
export async function unpacked(zip: Uint8Array): Promise<[string, Uint8Array<ArrayBuffer>][]> {
  const { files } = await JSZip.loadAsync(zip);
  const entries = Object.values(files).filter(({ dir }) => !dir);
  return Promise.all(
    entries.map(async (entry): Promise<[string, Uint8Array<ArrayBuffer>]> => [
      entry.name,
      new Uint8Array(await entry.async('uint8array')),
    ]),
  );
}
