import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { ArchitectureName } from '../architectures/settings.ts';
import { ChecksumError, DownloadCancelledError, WeightsUnavailableError } from './errors.ts';
import { UserError } from '../errors.ts';
import { readWeightsFile, type WeightsFile } from './readWeights.ts';
import { weightSources, type WeightSource } from './sources.ts';
import type { DownloadProgress, WeightCache, WeightRecord } from './types.ts';

export interface PretrainedOptions {
  readonly fetch: typeof fetch;
  readonly cache: WeightCache;
  /** Address of the page's folder, ends in `/`: `weights/<architecture>.safetensors` beside it is tried first. Null: no page. */
  readonly base: string | null;
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal;
  /** Milliseconds since 1970; given in, so that nothing here reads a clock. */
  readonly now: number;
  /** Only tests put others in. */
  readonly sources?: readonly WeightSource[];
}

export interface PretrainedWeights {
  /** Under torchvision's names; goes to `matchWeights`. */
  readonly file: WeightsFile;
  readonly record: WeightRecord;
  readonly fromCache: boolean;
}

/**
 * ImageNet weights of an architecture: what is kept on this computer, else from beside the page, else from the sources; kept then.
 * Throws `WeightsUnavailableError`, `ChecksumError`, `DownloadCancelledError`. A full disk is a warning in the record: the
 * weights are good all the same.
 */
export async function loadPretrained(
  architecture: ArchitectureName,
  options: PretrainedOptions,
): Promise<PretrainedWeights> {
  const key = `pretrained/${architecture}`;
  const known = options.sources ?? weightSources[architecture];
  const sources = options.base === null ? known : [beside(architecture, options.base), ...known];
  const kept = await options.cache.get(key);
  if (kept !== undefined && bytesToHex(sha256(kept.bytes)) === kept.record.sha256) {
    const source = sources.find(({ url }) => url === kept.record.url);
    return { file: read(kept.bytes, source), record: kept.record, fromCache: true };
  }

  const attempts: string[] = [];
  let cause: unknown;
  for (const source of sources) {
    try {
      const bytes = await download(source, options);
      const found = bytesToHex(sha256(bytes));
      // A damaged copy is replaced only by what it was a copy of.
      const pin = kept?.record.url === source.url ? kept.record.sha256 : null;
      const expected = source.sha256 ?? pin;
      if (expected !== null && found !== expected) throw new ChecksumError(source.url, expected, found);
      const file = read(bytes, source);
      const verified = known.some((one) => one.sha256 === found);
      const record = await keep({ key, architecture, source, found, verified, bytes }, options);
      return { file, record, fromCache: false };
    } catch (error) {
      if (error instanceof ChecksumError) throw error;
      if (options.signal?.aborted) throw new DownloadCancelledError(source.name);
      attempts.push(`${source.url}: ${reasonOf(error)}`);
      cause = error;
    }
  }
  throw new WeightsUnavailableError(architecture, attempts, cause);
}

function beside(architecture: ArchitectureName, base: string): WeightSource {
  const url = new URL(`weights/${architecture}.safetensors`, base).href;
  const name = base.startsWith('file:')
    ? `public/weights/${architecture}.safetensors`
    : `${architecture}.safetensors from this page’s host`;
  return { name, url, sha256: null, bytes: null, license: '' };
}

class Refused extends Error {}

async function download(source: WeightSource, options: PretrainedOptions): Promise<Uint8Array<ArrayBuffer>> {
  const { signal, onProgress } = options;
  // Called as a plain function: a method call would hand the browser's fetch a wrong `this`.
  const { fetch } = options;
  const response = await fetch(source.url, signal ? { signal } : {});
  if (!response.ok) throw new Refused(`HTTP ${response.status}`);
  // Hosts of single-page apps answer what they don't have with the page.
  if (response.headers.get('content-type')?.startsWith('text/html')) throw new Refused('there is no such file');
  const length = Number(response.headers.get('content-length'));
  const totalBytes = length > 0 ? length : source.bytes;
  const chunks: Uint8Array[] = [];
  let doneBytes = 0;
  const reader = response.body?.getReader();
  for (;;) {
    const next = await reader?.read();
    if (next === undefined || next.done) break;
    chunks.push(next.value);
    doneBytes += next.value.length;
    onProgress?.({
      url: source.url,
      doneBytes,
      totalBytes: totalBytes === null ? null : Math.max(totalBytes, doneBytes),
    });
  }
  const bytes = new Uint8Array(doneBytes);
  let position = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, position);
    position += chunk.length;
  }
  return bytes;
}

function read(bytes: Uint8Array, source: WeightSource | undefined): WeightsFile {
  const file = readWeightsFile(bytes);
  return source?.rename ? { ...file, ...source.rename(file) } : file;
}

async function keep(
  loaded: {
    key: string;
    architecture: string;
    source: WeightSource;
    found: string;
    /** Met a checksum known beforehand; a copy beside the page may too. */
    verified: boolean;
    bytes: Uint8Array<ArrayBuffer>;
  },
  { cache, now }: PretrainedOptions,
): Promise<WeightRecord> {
  const { key, architecture, source, found, verified, bytes } = loaded;
  const record: WeightRecord = {
    schema: 1,
    key,
    name: source.name,
    architecture,
    url: source.url,
    sha256: found,
    verified,
    classes: null,
    warnings: verified ? [] : ['No checksum is known for this file: it is unverified, and pinned to what came first.'],
    bytes: bytes.length,
    savedAt: now,
  };
  try {
    await cache.set(record, bytes);
    return record;
  } catch (error) {
    const warning = `The weights could not be kept for the next time: ${error instanceof Error ? error.message : String(error)}`;
    return { ...record, warnings: [...record.warnings, warning] };
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Refused) return error.message;
  if (error instanceof UserError) return 'what came was not a whole safetensors file';
  return 'the connection failed';
}
