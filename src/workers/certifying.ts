import type { ExportedBytes, ExportFormatId, ExportInput } from '../export/index.ts';
import { makersOf } from '../export/makers.ts';
import { precisionOf } from '../export/precision.ts';
import { certify, type CertifyProgress } from '../parity/certify.ts';
import { readers } from '../parity/readers.ts';
import type { CertificateSettings } from '../parity/settings.ts';
import type { Certificate, CertificateThresholds, CertifiedFormat, Golden } from '../parity/types.ts';
import type { Checkpoint } from '../training/types.ts';
import { turn } from '../turn.ts';
import type { TrainedAnswers } from './certificateImages.ts';

export interface CertifyingOptions {
  /** `output.certificate` */
  readonly settings: CertificateSettings;
  /** What the file was written as: which threshold counts, and whether there are makers, is no matter of what the file says of itself. */
  readonly written: Pick<ExportInput, 'precision' | 'weightStorage' | 'makerOutput'>;
  readonly onProgress?: (progress: CertifyProgress) => void;
  /** Its reason is thrown: within about a tenth of a second, also while the interpreter runs. */
  readonly signal?: AbortSignal;
}

export interface Certified {
  readonly certificate: Certificate;
  readonly goldens: readonly Golden[];
}

/** Whether src/parity has a reader of it: what has none is weights, not a model that runs. */
export function isCertified(format: string): format is CertifiedFormat & ExportFormatId {
  return Object.hasOwn(readers, format);
}

/** What the package of a run or a version is written as: by the checkpoint's own settings. */
export function writtenAs({
  architecture,
  config: { output },
}: Pick<Checkpoint, 'architecture' | 'config'>): CertifyingOptions['written'] {
  return {
    precision: precisionOf(output.precision, architecture),
    weightStorage: output.weights,
    makerOutput: output.maker_output,
  };
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
 * Reads the very bytes back and compares them with what the trained network answered (`trainedAnswers`; once for several files of a
 * model): a certificate, passed or failed, and the images by which a phone can show the same. `labels` in the network's order. Throws the
 * reason of `signal`, what reading images throws, and `ComparisonBrokenOffError`.
 */
export async function certifyBy(
  { images, imageSize, from }: TrainedAnswers,
  labels: readonly string[],
  { fileName, bytes }: ExportedBytes,
  format: CertifiedFormat,
  { settings, written, onProgress, signal }: CertifyingOptions,
): Promise<Certified> {
  return certify({
    bytes,
    format,
    fileName,
    images,
    imageSize,
    labels,
    makers: written.makerOutput ? makersOf(labels).map(({ name }) => name) : null,
    imagesFrom: from,
    thresholds: thresholdsOf(settings, written),
    onProgress,
    signal,
    between: turn,
  });
}
