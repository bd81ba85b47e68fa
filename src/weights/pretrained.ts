import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { ArchitectureName } from '../architectures/settings.ts';
import { UserError } from '../errors.ts';
import { checksumInName } from './checksumInName.ts';
import { download, NotDownloaded, PATIENCE, type Patience } from './download.ts';
import { EARLIER_CONVERSION, mayBeEarlierConversion } from './earlierConversion.ts';
import { ChecksumError, DownloadCancelledError, WeightsUnavailableError } from './errors.ts';
import { readWeightsFile, type WeightsFile } from './readWeights.ts';
import { downloadable, weightSources, type Downloadable } from './sources.ts';
import type { DownloadProgress, Part, WeightCache, WeightRecord } from './types.ts';

export interface PretrainedOptions {
  readonly fetch: typeof fetch;
  readonly cache: WeightCache;
  /** Address of the page's folder, ends in `/`: `weights/<architecture>.safetensors` beside it is tried first. Null: no page. */
  readonly base: string | null;
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal;
  /** Milliseconds since 1970; given in, so that nothing here reads a clock. */
  readonly now: number;
  /** Where what has arrived of a download that gave up waits for the next one: in memory, for as long as its owner lives. */
  readonly parts?: Map<string, Part>;
  /** Only tests put others in. */
  readonly sources?: readonly Downloadable[];
  readonly patience?: Patience;
}

export interface PretrainedWeights {
  /** Under the file's own names; goes to `matchWeights`. */
  readonly file: WeightsFile;
  readonly record: WeightRecord;
  readonly fromCache: boolean;
}

/**
 * ImageNet weights of an architecture: what is kept on this computer, else from beside the page, else from the sources; kept then.
 * Only a whole file with the right checksum is ever kept; where one has another, the next source is asked, and `ChecksumError` comes
 * if none has the right one. Throws `WeightsUnavailableError` and `DownloadCancelledError` too.
 * A full disk is a warning in the record: the weights are good all the same.
 */
export async function loadPretrained(
  architecture: ArchitectureName,
  options: PretrainedOptions,
): Promise<PretrainedWeights> {
  const key = `pretrained/${architecture}`;
  const page = options.base?.startsWith('http') ? options.base : null;
  const known = options.sources ?? downloadable(architecture, page !== null);
  const sources = options.base === null ? known : [beside(architecture, options.base), ...known];
  const kept = await options.cache.get(key);
  const whole = kept !== undefined && bytesToHex(sha256(kept.bytes)) === kept.record.sha256;
  const copy = whole
    ? withItsWarning({ file: readWeightsFile(kept.bytes), record: kept.record, fromCache: true })
    : undefined;
  // Where it may have been made wrongly, what lies there now comes first.
  const doubtful = copy?.record.warnings.includes(EARLIER_CONVERSION) === true;
  if (copy && !doubtful) {
    options.parts?.clear();
    return copy;
  }

  const attempts: string[] = [];
  let cause: unknown;
  let another: ChecksumError | undefined;
  for (const source of sources) {
    try {
      // A damaged copy is replaced only by what it was a copy of.
      const pin = kept?.record.url === source.url && !doubtful ? kept.record.sha256 : null;
      const expected = source.sha256 ?? pin ?? checksumInName(source.url);
      const { bytes, found } = await checked(source, expected, page, options);
      const file = readWeightsFile(bytes);
      const vouched = known.some((one) => one.sha256 === found) || found.startsWith(checksumInName(source.url) ?? '-');
      const record = await keep({ key, architecture, source, found, verified: vouched, bytes }, options);
      // What another source had sent of it is of no use now: up to 100 MB.
      options.parts?.clear();
      return withItsWarning({ file, record, fromCache: false });
    } catch (error) {
      if (options.signal?.aborted) {
        options.parts?.clear();
        throw new DownloadCancelledError(source.name);
      }
      if (error instanceof ChecksumError) another ??= error;
      attempts.push(`${source.url}: ${reasonOf(error)}`);
      cause = error;
    }
  }
  if (copy) return copy;
  if (another) throw another;
  throw new WeightsUnavailableError(architecture, attempts, {
    byHand: page === null ? undefined : weightSources[architecture].find(({ url }) => checksumInName(url))?.url,
    begun: sources.some(({ url }) => options.parts?.has(url)),
    cause,
  });
}

function withItsWarning(found: PretrainedWeights): PretrainedWeights {
  const { file, record } = found;
  if (record.verified || !mayBeEarlierConversion(record.architecture as ArchitectureName, file)) return found;
  return { ...found, record: { ...record, warnings: [...record.warnings, EARLIER_CONVERSION] } };
}

function beside(architecture: ArchitectureName, base: string): Downloadable {
  const url = new URL(`weights/${architecture}.safetensors`, base).href;
  const name = base.startsWith('file:')
    ? `public/weights/${architecture}.safetensors`
    : `${architecture}.safetensors from this page’s host`;
  return { name, url, sha256: null, bytes: null, license: '' };
}

/** Throws `ChecksumError`. `expected`: the SHA-256, or how it begins; null: any. */
async function checked(
  source: Downloadable,
  expected: string | null,
  page: string | null,
  { fetch, signal, onProgress, parts, patience = PATIENCE }: PretrainedOptions,
): Promise<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly found: string }> {
  for (let round = 1; ; round++) {
    const options = { fetch, signal, onProgress, page, parts, patience, checked: expected !== null };
    const { bytes, pieces } = await download(source, options);
    const found = bytesToHex(sha256(bytes));
    if (expected === null || found.startsWith(expected)) return { bytes, found };
    // Put together of pieces of two files, perhaps: once more.
    if (pieces === 1 || round === 2) throw new ChecksumError(source.url, expected, found);
  }
}

async function keep(
  loaded: {
    key: string;
    architecture: string;
    source: Downloadable;
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
  if (error instanceof NotDownloaded) return error.message;
  if (error instanceof UserError) return 'what came was not a whole weights file';
  return 'the connection failed';
}
