/** Longest header that a file of any network here could have, bytes. */
const HEADER_LIMIT = 16 * 2 ** 20;

/**
 * Whether a file is a checkpoint of this page or of the headless trainer: safetensors whose metadata say so. Only the header is
 * read: 8 bytes with its length (little-endian), then JSON with `__metadata__` (https://github.com/huggingface/safetensors#format).
 */
export async function isCheckpoint(file: Blob): Promise<boolean> {
  if (file.size < 8) return false;
  const length = Number(new DataView(await file.slice(0, 8).arrayBuffer()).getBigUint64(0, true));
  if (length > Math.min(file.size - 8, HEADER_LIMIT)) return false;
  try {
    const header: unknown = JSON.parse(await file.slice(8, 8 + length).text());
    const metadata = (header as { __metadata__?: Record<string, unknown> } | null)?.__metadata__;
    return metadata?.['pacerid.checkpoint'] !== undefined;
  } catch {
    return false;
  }
}
