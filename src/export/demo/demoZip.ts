import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import JSZip from 'jszip';
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
  const date = new Date(Date.UTC(1980, 0, 1));
  const zip = new JSZip();
  const add = (path: string, content: Uint8Array | string, compression: 'STORE' | 'DEFLATE'): unknown =>
    zip.file(path, content, { date, createFolders: false, compression });
  for (const [path, bytes] of [...page].sort(([a], [b]) => (a < b ? -1 : 1))) add(path, bytes, 'DEFLATE');
  const description = {
    ...about,
    weights: { file: WEIGHTS, sha256: bytesToHex(sha256(weights)), bytes: weights.length },
  };
  add(DESCRIPTION_PATH, writeDescription(description), 'DEFLATE');
  // Weights hardly shrink.
  add(DESCRIPTION_PATH.replace(/[^/]+$/, WEIGHTS), weights, 'STORE');
  const bytes = (await zip.generateAsync({ type: 'uint8array', platform: 'DOS' })) as Uint8Array<ArrayBuffer>;
  return { fileName: `${about.name}-demo.zip`, bytes };
}
