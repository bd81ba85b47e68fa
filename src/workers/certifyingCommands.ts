import type { ExportedBytes } from '../export/index.ts';
import type { CertifiedFormat } from '../parity/types.ts';
import type { Checkpoint } from '../training/types.ts';
import type { CancellableWorks } from './cancelling.ts';
import { trainedAnswers, type HowMany, type ImagesAtHand } from './certificateImages.ts';
import { certifyBy, writtenAs, type Certified, type CertifyingOptions } from './certifying.ts';
import { CertificateCancelledError } from './certifyingErrors.ts';
import type { Handlers } from './endpoint.ts';
import type { LoadedModels } from './loadedModel.ts';
import type { FileCertificate, ModelCommands, ModelEvent, WorkId } from './protocol.ts';

export type CertifyingCommands = Pick<Handlers<ModelCommands>, 'certify'>;

/** Whose comparison it is. */
export interface OfWork {
  /** In its events. */
  readonly workId?: WorkId | undefined;
  /** Its reason is thrown. */
  readonly signal?: AbortSignal;
}

/**
 * A certificate for a file made of a run's best checkpoint, with what a page wants to know beside it. Throws `CertificateImagesMissingError`,
 * what reading images throws, and the reason of `signal`.
 */
export type CertifyRun = (
  runId: string,
  exported: ExportedBytes,
  format: CertifiedFormat,
  /** `howMany`: default as the settings say. */
  options: Pick<CertifyingOptions, 'settings' | 'written'> & OfWork & { readonly howMany?: HowMany },
) => Promise<Certified & Omit<FileCertificate, 'certificate'>>;

/** What somebody who wants more may ask for. */
const larger: readonly HowMany[] = [10, 'all'];

/**
 * Certificates of this worker. The trained network answers in turn with the other commands; the interpreter, which takes seconds or minutes,
 * works beside them and yields between.
 */
export function certifyingCommands(
  { inTurn, load }: LoadedModels,
  at: ImagesAtHand,
  emit: (event: ModelEvent) => void,
  { cancellable }: CancellableWorks,
): CertifyingCommands & {
  readonly certifyRun: CertifyRun;
  /** Of a version's package, written with the checkpoint's settings. */
  certifyPackage(runId: string, exported: ExportedBytes, checkpoint: Checkpoint, of?: OfWork): Promise<Certified>;
} {
  const certifyRun: CertifyRun = async (runId, exported, format, options) => {
    const { howMany = 'as set', settings, signal, workId } = options;
    const { answers, labels } = await inTurn(async () => {
      signal?.throwIfAborted();
      const model = await load(runId);
      return {
        answers: await trainedAnswers(model, at, howMany, settings, signal),
        labels: model.checkpoint.dataset.classes,
      };
    });
    let began: number | null = null;
    const certified = await certifyBy(answers, labels, exported, format, {
      ...options,
      onProgress: ({ image, of, share, secondsLeft }) => {
        began ??= performance.now();
        const left = secondsLeft !== null && { secondsLeft };
        const whose = workId !== undefined && { workId };
        emit({ type: 'modelProgress', what: 'certifying', done: image, total: of, share, ...left, ...whose });
      },
    });
    const secondsEach = began === null ? null : (performance.now() - began) / 1000 / answers.images.length;
    const further = larger.flatMap((howMany) => {
      const images = answers.countOf(howMany);
      return images > answers.images.length ? [{ howMany, images }] : [];
    });
    return {
      ...certified,
      secondsEach,
      further: further.filter(({ images }, i) => further.findIndex((one) => one.images === images) === i),
    };
  };

  return {
    certifyRun,
    certifyPackage: (runId, exported, checkpoint, of = {}) =>
      certifyRun(runId, exported, 'mlpackage', {
        settings: checkpoint.config.output.certificate,
        written: writtenAs(checkpoint),
        ...of,
      }),
    certify: ({ runId, format, file, output, howMany, workId }) =>
      cancellable(
        workId,
        () => new CertificateCancelledError(),
        async (signal) => {
          const { fileName, blob, precision, weights } = file;
          const exported = { fileName, bytes: new Uint8Array(await blob.arrayBuffer()) };
          const written = { precision, weightStorage: weights, makerOutput: output.maker_output };
          const options = { settings: output.certificate, written, howMany, signal, workId };
          const { certificate, secondsEach, further } = await certifyRun(runId, exported, format, options);
          return { certificate, secondsEach, further };
        },
      ),
  };
}
