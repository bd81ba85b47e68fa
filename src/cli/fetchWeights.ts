import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { buildGraph } from '../architectures/index.ts';
import { architectureNames, type ArchitectureName } from '../architectures/settings.ts';
import { nearestOf } from '../config/describe.ts';
import { writeWhole } from '../platform/node/atomicWrite.ts';
import { WeightsUnavailableError } from '../weights/errors.ts';
import { batchNormEpsOfFile } from '../weights/match.ts';
import { batchNormEpsMetadata } from '../weights/metadata.ts';
import { loadPretrained, type PretrainedOptions } from '../weights/pretrained.ts';
import { isPyTorchFile } from '../weights/pytorch/container.ts';
import { writeSafetensors } from '../weights/safetensors.ts';
import { downloadable, weightSources } from '../weights/sources.ts';
import type { WeightCache, WeightRecord } from '../weights/types.ts';
import type { Command } from './command.ts';
import { UsageError, WeightsNotFetchedError } from './errors.ts';
import { readFlags } from './flags.ts';
import { bar, terminal, type Terminal } from './terminal.ts';
import { besideFile } from './weights.ts';
import { duration, megabytes } from './words.ts';

const known = architectureNames.filter((name) => weightSources[name].length > 0);

export const command: Command = {
  summary: 'Downloads ImageNet weights, for training without a network and for the page beside them.',
  usage: `npm run fetch-weights -- ARCHITECTURE…

  ARCHITECTURE           ${known.join(', ')}

They go to public/weights/<architecture>.safetensors: npm run train and the page look there first.
--help`,
  run: async (args) => {
    const { positionals } = readFlags('fetch-weights', args, {});
    const wanted = wantedOf(positionals);
    const out = terminal(process.stdout);
    for (const architecture of wanted) await fetchWeights(architecture, besideFile(architecture), out, { fetch });
    return 0;
  },
};

function wantedOf(names: readonly string[]): ArchitectureName[] {
  if (names.length === 0) throw new UsageError(`Name one or more of ${known.join(', ')}.`, 'fetch-weights');
  return names.map((name) => {
    const found = known.find((one) => one === name);
    if (found !== undefined) return found;
    const meant = nearestOf(name, known, 4);
    const why = name === 'tiny' ? 'tiny has no pretrained weights' : `There is no architecture ${name}`;
    throw new UsageError(
      `${why}${meant ? `; did you mean ${meant}?` : `; choose of ${known.join(', ')}.`}`,
      'fetch-weights',
    );
  });
}

/**
 * Downloads to `path`, checked, as safetensors. What is there already is replaced only by a whole, checked file. Throws
 * `WeightsNotFetchedError`, `ChecksumError`, `DiskFullError`.
 */
export async function fetchWeights(
  architecture: ArchitectureName,
  path: string,
  out: Terminal,
  options: Pick<PretrainedOptions, 'fetch' | 'sources'>,
): Promise<void> {
  let fetched: { record: WeightRecord; bytes: Uint8Array<ArrayBuffer> } | undefined;
  const once: WeightCache = {
    list: () => Promise.resolve([]),
    get: () => Promise.resolve(undefined),
    set: (record, bytes) => Promise.resolve(void (fetched = { record, bytes })),
    delete: () => Promise.resolve(),
  };
  const { file, record } = await loadPretrained(architecture, {
    ...options,
    cache: once,
    base: null,
    now: Date.now(),
    onProgress: ({ doneBytes, totalBytes, secondsLeft, waiting }) => {
      const share = totalBytes === null ? '' : `${bar(doneBytes / totalBytes, 20)} `;
      const of = totalBytes === null ? '' : ` of ${megabytes(totalBytes)}`;
      const left = secondsLeft === null ? '' : `, ${duration(secondsLeft)} left`;
      out.status(`${architecture} ${share}${megabytes(doneBytes)}${of}${waiting === null ? left : `. ${waiting} …`}`);
    },
  }).catch((error: unknown) => {
    throw error instanceof WeightsUnavailableError
      ? new WeightsNotFetchedError(architecture, error.message, error)
      : error;
  });
  out.status('');
  const sources = options.sources ?? downloadable(architecture, false);
  const source = sources.find(({ url }) => url === record.url);
  // The name of the file beside the page says safetensors; what is one already stays as it is: its checksum can be told.
  // What is converted says its epsilon: the names alone may be those of files with either.
  const eps = batchNormEpsOfFile(buildGraph(architecture, 2), file);
  const said = { format: 'pt', source: record.url ?? record.name, ...batchNormEpsMetadata(eps), ...file.metadata };
  const bytes =
    fetched === undefined || isPyTorchFile(fetched.bytes) ? writeSafetensors(file.tensors, said) : fetched.bytes;
  await writeWhole(path, bytes);
  out.line(`${record.name} → ${path} (${megabytes(bytes.length)})`);
  out.line(
    record.verified
      ? `SHA-256 ${record.sha256}, as expected.`
      : `SHA-256 ${bytesToHex(sha256(bytes))}; no checksum was known beforehand: it is unverified.`,
  );
  if (source) out.line(`Licence: ${source.license}.`);
}
