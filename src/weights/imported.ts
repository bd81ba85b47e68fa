import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Members } from '../dataset/types.ts';
import type { Graph, Weights } from '../graph/types.ts';
import { isVouchedFor } from './checksumInName.ts';
import { LabelsDoNotFitError, WeightsUnavailableError } from './errors.ts';
import { fits, matchWeights } from './match.ts';
import { membersInFile, readWeightsFile, type WeightsFile } from './readWeights.ts';
import type { WeightCache, WeightRecord } from './types.ts';

const prefix = 'imported/';

export interface GivenWeights {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly name: string;
  readonly now: number;
  /** What the rows of its head stand for, where the user knows better than the file. */
  readonly labels?: readonly string[] | null;
}

/**
 * Reads, checks and keeps a file that the user chose. Throws `ChecksumInNameError`, `NotSafetensorsError`, `PyTorchFileError`,
 * `WrongArchitectureError`, `LabelsDoNotFitError`, `StorageFullError`; nothing is kept then.
 * `graph`: of the wanted architecture, any number of classes; null: the first of `candidates` (one of every architecture) that
 * it fits.
 */
export async function importWeights(
  given: GivenWeights,
  network: {
    readonly graph: Graph | null;
    readonly candidates: readonly Graph[];
    initialHead(graph: Graph): Weights;
  },
  cache: WeightCache,
): Promise<WeightRecord> {
  const digest = bytesToHex(sha256(given.bytes));
  // First: what is damaged may be none of the things that it is said to be.
  const verified = isVouchedFor(given.name, digest);
  const file = readWeightsFile(given.bytes);
  const { candidates } = network;
  const graph = network.graph ?? candidates.find((one) => fits(one, file)) ?? nearest(candidates, file);
  const initialHead = network.initialHead(graph);
  const matched = matchWeights(file, { graph, candidates, initialHead, labels: null });
  const labels = given.labels ?? file.labels;
  const rows = matched.classesInFile;
  if (given.labels != null && (given.labels.length !== rows || new Set(given.labels).size !== rows))
    throw new LabelsDoNotFitError(given.labels.length, rows);
  const record: WeightRecord = {
    schema: 1,
    key: `${prefix}${digest.slice(0, 16)}`,
    name: given.name,
    architecture: graph.architecture,
    url: null,
    sha256: digest,
    verified,
    classes: rows,
    labels,
    warnings: [
      ...matched.warnings,
      ...(/(^|[/\\])tf_mobilenetv3/.test(given.name) ? [PADDED_OTHERWISE] : []),
      ...(labels === null ? [LABELS_UNKNOWN] : []),
    ],
    bytes: given.bytes.length,
    savedAt: given.now,
  };
  await cache.set(record, given.bytes);
  return record;
}

/** timm/models/mobilenetv3.py, `tf_mobilenetv3_small_100`: `bn_eps` 1e-3, `pad_type` 'same'. */
const PADDED_OTHERWISE =
  'By its name this is one of timm’s tf_ networks, whose tensors have the same names, but which pad as TensorFlow does and have 0.001 as ' +
  'batch norms’ epsilon: what it predicts here is not what it predicts there.';

const LABELS_UNKNOWN = 'This file does not say which labels its head tells apart: a new head starts from nothing.';

/** The one to name in the error where a file fits none: what the file says it is, else the first. */
function nearest(candidates: readonly Graph[], file: WeightsFile): Graph {
  const graph = candidates.find(({ architecture }) => architecture === file.architecture) ?? candidates[0];
  if (graph === undefined) throw new Error('No architecture to compare with');
  return graph;
}

/** All that is kept, downloaded or imported; newest first. */
export async function keptWeights(cache: WeightCache): Promise<WeightRecord[]> {
  return (await cache.list()).sort((a, b) => b.savedAt - a.savedAt);
}

/** The file that was kept under `key`. Throws `WeightsUnavailableError` where it was deleted since. */
export async function readImported(
  key: string,
  architecture: string,
  cache: WeightCache,
): Promise<{ readonly file: WeightsFile; readonly record: WeightRecord }> {
  const kept = await cache.get(key);
  if (kept === undefined) throw new WeightsUnavailableError(architecture, [GONE]);
  const file = readWeightsFile(kept.bytes);
  return { file: { ...file, labels: kept.record.labels ?? file.labels }, record: kept.record };
}

/** What the model under `key` was trained, picked and tested with; null where its file doesn't say. Throws as `readImported`. */
export async function membersOfImported(key: string, cache: WeightCache): Promise<Members | null> {
  const kept = await cache.get(key);
  if (kept === undefined) throw new WeightsUnavailableError('this model', [GONE]);
  return membersInFile(kept.bytes);
}

const GONE = 'the chosen file is no longer on this computer';
