import { findDataset } from '../dataset/identity.ts';
import type { Dataset, DatasetStore } from '../dataset/types.ts';
import type { Config } from '../config/schema.ts';
import { checkedDecoder } from '../dataset/decoding.ts';
import type { ExportedBytes } from '../export/index.ts';
import type { CertificateSettings } from '../parity/settings.ts';
import type { CertifiedFormat } from '../parity/types.ts';
import { diskDatasetStore } from '../platform/node/diskDatasetStore.ts';
import { imageDecoder } from '../platform/node/imageDecoder.ts';
import { memoryRunStore } from '../platform/node/runStore.ts';
import type { Checkpoint } from '../training/types.ts';
import { trainedAnswers, type HowMany, type TrainedAnswers } from '../workers/certificateImages.ts';
import { certifyBy, type Certified, type CertifyingOptions } from '../workers/certifying.ts';
import { networkOf } from '../workers/judge.ts';
import { cacheFolder } from './cacheFolder.mjs';
import { NoCertificateImagesError, NoDataError, UsageError } from './errors.ts';
import { imagesOf } from './images.ts';
import { reporter } from './reporter.ts';
import { projectRoot } from './root.ts';
import { openSession } from './session.ts';
import { bar, type Terminal } from './terminal.ts';
import { duration } from './words.ts';

/** What a certificate is made with, for `readFlags`. */
export const certificateFlags = {
  data: { type: 'string' },
  images: { type: 'string' },
  'no-cache': { type: 'boolean' },
} as const;

export interface CertificateFlags {
  readonly data?: string | undefined;
  readonly images?: string | undefined;
  readonly 'no-cache'?: boolean | undefined;
}

/** Lines of `--help` about them. */
export const certificateUsage = `  --data PATH            images for the certificate: a zip, a folder, or sample; default: those that
                         the model was trained with, if they are here
  --images N             of each class, or all; default: as output.certificate says
  --no-cache             decoded images stay in memory`;

/** Without a terminal a line at most this often, ms. */
const PLAIN_EVERY = 10_000;

/** Throws `UsageError`. */
export function howManyOf({ images }: CertificateFlags, command: string): HowMany {
  if (images === undefined) return 'as set';
  if (images === 'all') return 'all';
  if (/^[1-9]\d{0,6}$/.test(images)) return Number(images);
  throw new UsageError(`--images is ${images}; it can be a whole number of images a class, or all.`, command);
}

export interface Comparison {
  readonly checkpoint: Checkpoint;
  readonly flags: CertificateFlags;
  readonly howMany: HowMany;
  /** Where images lie and what to run on, where the checkpoint doesn't say. */
  readonly place: Config;
  readonly settings: CertificateSettings;
  /** Where the model's own images may be at hand already. */
  readonly store?: DatasetStore;
  readonly out: Terminal;
  readonly signal: AbortSignal;
}

/**
 * Images, and what the trained model says of them, for as many files as are made of it: `certified`. Throws `NoCertificateImagesError`, what
 * importing images and opening a device throw, and the reason of `signal`.
 */
export async function answersOf(comparison: Comparison): Promise<TrainedAnswers> {
  const { checkpoint, place, howMany, settings, out, signal } = comparison;
  const { store, dataset } = await imagesFor(comparison);
  signal.throwIfAborted();
  const session = openSession({ datasets: store, runs: memoryRunStore(), modelsDir: place.output.models_dir });
  out.status('Asking the trained model …');
  const engine = await session.openEngine(place.training.device);
  try {
    const network = await networkOf(checkpoint, engine);
    const at = { datasets: store, decoder: checkedDecoder(imageDecoder()), dataset };
    return await trainedAnswers({ checkpoint, network }, at, howMany, settings, signal);
  } finally {
    await engine.dispose();
    out.status('');
  }
}

/** A file, read back and run on those images, with a line that says how far it is. */
export async function certified(
  answers: TrainedAnswers,
  labels: readonly string[],
  exported: ExportedBytes,
  format: CertifiedFormat,
  { out, ...options }: Pick<CertifyingOptions, 'settings' | 'written'> & { out: Terminal; signal: AbortSignal },
): Promise<Certified> {
  let said = performance.now();
  try {
    return await certifyBy(answers, labels, exported, format, {
      ...options,
      onProgress: ({ image, of, share, secondsLeft }) => {
        const left = secondsLeft === null ? '' : ` · ${duration(secondsLeft)} left`;
        out.status(`Running ${exported.fileName} ${bar(share, 20)} ${image}/${of}${left}`);
        if (out.live || performance.now() - said < PLAIN_EVERY) return;
        said = performance.now();
        out.line(`Running ${exported.fileName}: image ${image} of ${of}${left}`);
      },
    });
  } finally {
    out.status('');
  }
}

/** Where they are at hand, the model's own; named ones; else the model's own, decoded before and kept, or drawn anew; else those of the configuration. */
async function imagesFor(comparison: Comparison): Promise<{ store: DatasetStore; dataset: Dataset }> {
  const { checkpoint, flags, place, out, signal } = comparison;
  const { dataset: own, members = null } = checkpoint;
  const { data } = flags;
  const kept = data === undefined && !flags['no-cache'] ? cacheFolder(projectRoot(), 'datasets') : null;
  for (const store of [comparison.store, ...(kept === null ? [] : [diskDatasetStore(kept)])]) {
    const dataset = store && (await findDataset(store, own));
    if (store && dataset) return { store, dataset };
  }
  const sample = data === 'sample' || (data === undefined && own.synthetic);
  const source = sample ? 'sample' : 'files';
  const config: Config = { ...place, data: { ...checkpoint.config.data, ...placesOf(place), source } };
  const say = (line: string): void => out.line(line);
  try {
    const images = await imagesOf(
      { ...(data !== undefined && !sample && { data }), 'no-cache': flags['no-cache'] },
      config,
      say,
      'judge',
    );
    const { importing } = reporter(out, { verbose: true });
    const session = openSession({
      datasets: images.store,
      runs: memoryRunStore(),
      modelsDir: place.output.models_dir,
      onDataset: importing,
    });
    const cancel = (): void => void session.dataset.cancelImport(null);
    signal.addEventListener('abort', cancel);
    try {
      return { store: images.store, dataset: await images.load(session, members) };
    } finally {
      signal.removeEventListener('abort', cancel);
      out.status('');
    }
  } catch (error) {
    signal.throwIfAborted();
    if (data === undefined && error instanceof NoDataError) throw new NoCertificateImagesError(own.name, error);
    throw error;
  }
}

/** Where images lie is of this computer, what a model sees of them of the model. */
function placesOf({ data }: Config) {
  const { raw_dir, train_dir, test_dir, num_workers } = data;
  return { raw_dir, train_dir, test_dir, num_workers };
}
