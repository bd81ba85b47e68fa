import { isSection, type ConfigTree } from '../config/tree.ts';

/** Longest header that a file of any network here could have, bytes. */
const HEADER_LIMIT = 16 * 2 ** 20;

/**
 * The settings of the run that a checkpoint is of, as they stand in it; null for any other file. A checkpoint of this page or of the
 * headless trainer is safetensors whose metadata say so. Only the header is read: 8 bytes with its length (little-endian), then JSON
 * with `__metadata__` (https://github.com/huggingface/safetensors#format).
 */
export async function checkpointSettings(file: Blob): Promise<ConfigTree | null> {
  if (file.size < 8) return null;
  const length = Number(new DataView(await file.slice(0, 8).arrayBuffer()).getBigUint64(0, true));
  if (length > Math.min(file.size - 8, HEADER_LIMIT)) return null;
  const header = parsed(await file.slice(8, 8 + length).text());
  const metadata = isSection(header) ? header['__metadata__'] : undefined;
  const about = isSection(metadata) ? metadata['pacerid.checkpoint'] : undefined;
  if (typeof about !== 'string') return null;
  const checkpoint = parsed(about);
  const settings = isSection(checkpoint) ? checkpoint['config'] : undefined;
  // A broken one is still a checkpoint: whoever opens it is told what is wrong with it.
  return isSection(settings) ? settings : {};
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
