import type { ExportedBytes } from '../export/index.ts';
import { precisionOf } from '../export/precision.ts';
import type { CertifiedFormat } from '../parity/types.ts';
import type { Checkpoint } from '../training/types.ts';
import { trainedAnswers, type HowMany, type ImagesAtHand } from './certificateImages.ts';
import { certifyBy, type Certified, type CertifyingOptions } from './certifying.ts';
import { CertificateCancelledError } from './certifyingErrors.ts';
import type { Handlers } from './endpoint.ts';
import type { LoadedModels } from './loadedModel.ts';
import type { FileCertificate, ModelCommands, ModelEvent } from './protocol.ts';

export type CertifyingCommands = Pick<Handlers<ModelCommands>, 'certify' | 'cancelCertificate'>;

/**
 * A certificate for a file made of a run's best checkpoint, with what a page wants to know beside it. Throws `CertificateImagesMissingError`,
 * `CertificateCancelledError`, and what reading images throws.
 */
export type CertifyRun = (
  runId: string,
  exported: ExportedBytes | Promise<ExportedBytes>,
  format: CertifiedFormat,
  /** `howMany`: default as the settings say. */
  options: Pick<CertifyingOptions, 'settings' | 'written'> & { readonly howMany?: HowMany },
) => Promise<Certified & Omit<FileCertificate, 'certificate'>>;

/** What somebody who wants more may ask for. */
const larger: readonly HowMany[] = [10, 'all'];

/**
 * Certificates of this worker. The trained network answers in turn with the other commands; the interpreter, which takes seconds or minutes,
 * works beside them and yields between. `cancelCertificate` ends all that are under way, those of versions and bundles, too.
 */
export function certifyingCommands(
  { inTurn, load }: LoadedModels,
  at: ImagesAtHand,
  emit: (event: ModelEvent) => void,
): CertifyingCommands & {
  readonly certifyRun: CertifyRun;
  /** Of a version's package, written with the checkpoint's settings. */
  certifyPackage(runId: string, exported: ExportedBytes, checkpoint: Checkpoint): Promise<Certified>;
} {
  const under = new Set<AbortController>();

  const certifyRun: CertifyRun = async (runId, exported, format, options) => {
    const controller = new AbortController();
    const { signal } = controller;
    under.add(controller);
    try {
      const { answers, labels } = await inTurn(async () => {
        signal.throwIfAborted();
        const model = await load(runId);
        const { howMany = 'as set', settings } = options;
        return {
          answers: await trainedAnswers(model, at, howMany, settings, signal),
          labels: model.checkpoint.dataset.classes,
        };
      });
      let began: number | null = null;
      const certified = await certifyBy(answers, labels, await exported, format, {
        ...options,
        signal,
        onProgress: ({ image, of, share, secondsLeft }) => {
          began ??= performance.now();
          const left = secondsLeft !== null && { secondsLeft };
          emit({ type: 'modelProgress', what: 'certifying', done: image, total: of, share, ...left });
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
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      under.delete(controller);
    }
  };

  return {
    certifyRun,
    certifyPackage: (runId, exported, { architecture, config: { output } }) =>
      certifyRun(runId, exported, 'mlpackage', {
        settings: output.certificate,
        written: { precision: precisionOf(output.precision, architecture), weightStorage: output.weights },
      }),
    certify: async ({ runId, format, file, output, howMany }) => {
      const { fileName, blob, precision, weights } = file;
      // Read within, so that a cancellation is heard from the first moment on.
      const exported = blob.arrayBuffer().then((bytes) => ({ fileName, bytes: new Uint8Array(bytes) }));
      const written = { precision, weightStorage: weights };
      const options = { settings: output.certificate, written, howMany };
      const { certificate, secondsEach, further } = await certifyRun(runId, exported, format, options);
      return { certificate, secondsEach, further };
    },
    cancelCertificate: () => {
      for (const controller of under) controller.abort(new CertificateCancelledError());
      return null;
    },
  };
}
