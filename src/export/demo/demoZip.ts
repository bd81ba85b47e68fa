import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { reproducibleZip } from '../reproducibleZip.ts';
import type { ExportedBytes } from '../types.ts';
import type { DemoPage } from './demoPage.ts';
import { DESCRIPTION_PATH, writeDescription, type Described } from './modelDescription.ts';

const WEIGHTS = 'weights.safetensors';

/**
 * The page with a model in it: a folder for any static host, and what `openModel` reads. `weights`: a checkpoint without optimiser
 * state. The same content gives the same bytes.
 */
export async function demoZip(
  page: DemoPage,
  about: Omit<Described, 'weights'>,
  weights: Uint8Array<ArrayBuffer>,
): Promise<ExportedBytes> {
  const zip = reproducibleZip();
  for (const [path, bytes] of [...page].sort(([a], [b]) => (a < b ? -1 : 1))) zip.add(path, bytes, 'DEFLATE');
  const description = {
    ...about,
    weights: { file: WEIGHTS, sha256: bytesToHex(sha256(weights)), bytes: weights.length },
  };
  zip.add(DESCRIPTION_PATH, writeDescription(description), 'DEFLATE');
  zip.add(DESCRIPTION_PATH.replace(/[^/]+$/, WEIGHTS), weights);
  return { fileName: `${about.name}-demo.zip`, bytes: await zip.bytes() };
}
