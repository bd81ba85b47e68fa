import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Graph } from '../graph/types.ts';
import { matchWeights } from './match.ts';
import { readSafetensors, type SafetensorsFile } from './safetensors.ts';
import type { WeightCache, WeightRecord } from './types.ts';
import { WeightsUnavailableError } from './errors.ts';

const prefix = 'imported/';

/**
 * Reads, checks and keeps a file that the user chose. Throws `NotSafetensorsError`, `PickleWeightsError`,
 * `WrongArchitectureError`, `StorageFullError`; nothing is kept then.
 * `graph`: of the wanted architecture, any number of classes; `candidates`: one of every architecture.
 */
export async function importWeights(
  given: { readonly bytes: Uint8Array<ArrayBuffer>; readonly name: string; readonly now: number },
  network: { readonly graph: Graph; readonly candidates: readonly Graph[]; readonly initialHead: MatchHead },
  cache: WeightCache,
): Promise<WeightRecord> {
  const file = readSafetensors(given.bytes);
  const matched = matchWeights(file, { ...network, labels: null });
  const digest = bytesToHex(sha256(given.bytes));
  const record: WeightRecord = {
    schema: 1,
    key: `${prefix}${digest.slice(0, 16)}`,
    name: given.name,
    architecture: network.graph.architecture,
    url: null,
    sha256: digest,
    verified: false,
    classes: matched.classesInFile,
    warnings: matched.warnings,
    bytes: given.bytes.length,
    savedAt: given.now,
  };
  await cache.set(record, given.bytes);
  return record;
}
type MatchHead = Parameters<typeof matchWeights>[1]['initialHead'];

/** All that is kept, downloaded or imported; newest first. */
export async function keptWeights(cache: WeightCache): Promise<WeightRecord[]> {
  return (await cache.list()).sort((a, b) => b.savedAt - a.savedAt);
}

/** The file that was kept under `key`. Throws `WeightsUnavailableError` where it was deleted since. */
export async function readImported(
  key: string,
  architecture: string,
  cache: WeightCache,
): Promise<{ readonly file: SafetensorsFile; readonly record: WeightRecord }> {
  const kept = await cache.get(key);
  if (kept === undefined)
    throw new WeightsUnavailableError(architecture, ['the chosen file is no longer on this computer']);
  return { file: readSafetensors(kept.bytes), record: kept.record };
}
