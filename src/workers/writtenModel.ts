import type { EvaluationReport } from '../evaluation/types.ts';
import { heldBy } from '../export/held.ts';
import { exportFormats, type ExportedBytes, type ExportFormat, type ExportInput } from '../export/index.ts';
import { hashBytes } from '../registry/checksums.ts';
import { exportInput } from '../registry/exportInput.ts';
import { foldRun } from '../training/runState.ts';
import type { Checkpoint, RunConfig, RunStore } from '../training/types.ts';
import type { WrittenFile } from './protocol.ts';

/** The Test report of these very weights; null where they were not judged, though others of the run may have been. */
export async function reportOf(
  runs: Pick<RunStore, 'events'>,
  runId: string,
  { epoch }: Pick<Checkpoint, 'epoch'>,
): Promise<EvaluationReport | null> {
  const { test } = foldRun(await runs.events(runId));
  return test?.epoch === epoch ? test.report : null;
}

/** A file for the page. `input`: as its format could hold it. */
export function writtenFile(
  { fileName, bytes }: ExportedBytes,
  mediaType: string,
  { precision, weightStorage }: ExportInput,
): WrittenFile {
  const blob = new Blob([bytes], { type: mediaType });
  return { fileName, blob, sha256: hashBytes(bytes), precision, weights: weightStorage };
}

export interface WrittenModel {
  readonly kind: ExportFormat;
  /** As the format could hold it. */
  readonly input: ExportInput;
  readonly exported: ExportedBytes;
}

/** A run's best checkpoint in a format. `output`: name, metadata and form; absent: as the run was configured. */
export async function writeModel(
  runs: Pick<RunStore, 'events'>,
  runId: string,
  checkpoint: Checkpoint,
  format: keyof typeof exportFormats,
  output: RunConfig['output'] = checkpoint.config.output,
): Promise<WrittenModel> {
  const kind: ExportFormat = exportFormats[format];
  const report = await reportOf(runs, runId, checkpoint);
  const test = report && { n: report.n, accuracy: report.accuracy, interval: report.accuracyInterval };
  const input = heldBy(kind, exportInput(checkpoint, { ...checkpoint.config, output }, test));
  return { kind, input, exported: await kind.write(input) };
}
