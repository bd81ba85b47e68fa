import type { ExportedBytes, ExportFormatId, ExportInput } from '../export/index.ts';
import { certify, type CertifyProgress } from '../parity/certify.ts';
import type { CertificateSettings } from '../parity/settings.ts';
import type { Certificate, CertificateThresholds, CertifiedFormat, Golden } from '../parity/types.ts';
import { turn } from '../turn.ts';
import {
  trainedAnswers,
  type HowMany,
  type ImagesAtHand,
  type TrainedAnswers,
  type TrainedNetwork,
} from './certificateImages.ts';

export interface CertifyingOptions {
  /** `output.certificate` */
  readonly settings: CertificateSettings;
  /** What the file was written as: which threshold counts is no matter of what the file says of itself. */
  readonly written: Pick<ExportInput, 'precision' | 'weightStorage'>;
  /** Default: as the settings say. */
  readonly howMany?: HowMany;
  readonly onProgress?: (progress: CertifyProgress) => void;
  /** Its reason is thrown: within about a tenth of a second, also while the interpreter runs. */
  readonly signal?: AbortSignal;
}

export interface Certified {
  readonly certificate: Certificate;
  readonly goldens: readonly Golden[];
}

/** Formats that have a reader in src/parity: what isn't one of them is weights, not a model that runs. */
const certifiedFormats = ['mlpackage', 'mlmodel', 'onnx', 'tfjs'] as const satisfies readonly CertifiedFormat[];

export function isCertified(format: string): format is CertifiedFormat & ExportFormatId {
  return (certifiedFormats as readonly string[]).includes(format);
}

export function thresholdsOf(
  { max_difference: largest, max_flips }: Pick<CertificateSettings, 'max_difference' | 'max_flips'>,
  { precision, weightStorage }: Pick<ExportInput, 'precision' | 'weightStorage'>,
): CertificateThresholds {
  return {
    maxDifference: weightStorage === 'full' ? largest[precision] : largest.eight_bit,
    maxFlips: max_flips,
  };
}

/**
 * Reads the very bytes back and compares them with the trained network: a certificate, passed or failed, and the images by which a phone
 * can show the same. Throws `CertificateImagesMissingError` where the run's data set is gone, what reading images and reading the
 * file throw, and the reason of `signal`.
 */
export async function certifyExport(
  model: TrainedNetwork,
  at: ImagesAtHand,
  exported: ExportedBytes,
  format: CertifiedFormat,
  options: CertifyingOptions,
): Promise<Certified> {
  const { howMany = 'as set', settings, signal } = options;
  const answers = await trainedAnswers(model, at, howMany, settings, signal);
  return certifyBy(answers, model.checkpoint.dataset.classes, exported, format, options);
}

/** As `certifyExport`, with the answers of the trained network at hand: several files of one model. */
export async function certifyBy(
  { images, from }: TrainedAnswers,
  labels: readonly string[],
  { fileName, bytes }: ExportedBytes,
  format: CertifiedFormat,
  { settings, written, onProgress, signal }: Omit<CertifyingOptions, 'howMany'>,
): Promise<Certified> {
  return certify({
    bytes,
    format,
    fileName,
    images,
    labels,
    imagesFrom: from,
    thresholds: thresholdsOf(settings, written),
    onProgress,
    signal,
    between: turn,
  });
}
