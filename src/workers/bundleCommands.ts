import { configToYaml } from '../config/yamlOut.ts';
import { reportOf as errorReportOf } from '../errors.ts';
import { writeBundle } from '../export/bundle/index.ts';
import type { CertifiedFormat } from '../parity/types.ts';
import type { RunStore } from '../training/types.ts';
import type { CancellableWorks } from './cancelling.ts';
import type { CertifyRun } from './certifyingCommands.ts';
import { WritingCancelledError } from './certifyingErrors.ts';
import type { Handlers } from './endpoint.ts';
import type { LoadedModels } from './loadedModel.ts';
import type { ModelCommands } from './protocol.ts';
import { writeModel, writtenFile } from './writtenModel.ts';

export type BundleCommands = Pick<Handlers<ModelCommands>, 'exportBundle'>;

/** What an app is built with. */
const model = 'mlpackage' satisfies CertifiedFormat;
/** What it is trained further with: weights alone, so that there is nothing to run. */
const weights = 'safetensors';

/** All that an app's developer needs, its model certified. */
export function bundleCommands(
  runs: RunStore,
  { bestOf }: Pick<LoadedModels, 'bestOf'>,
  certifyRun: CertifyRun,
  { cancellable }: CancellableWorks,
): BundleCommands {
  const bundle = async (
    { runId, output, howMany, workId }: ModelCommands['exportBundle']['payload'],
    signal: AbortSignal,
  ): Promise<ModelCommands['exportBundle']['result']> => {
    const checkpoint = await bestOf(runId);
    signal.throwIfAborted();
    const { input, exported } = await writeModel(runs, runId, checkpoint, model, output);
    const options = { settings: output.certificate, written: input, howMany, signal, workId };
    const certified = await certifyRun(runId, exported, model, options).catch((error: unknown) => {
      signal.throwIfAborted();
      // Without images there can be a bundle, which says that nothing proves it.
      return { error: errorReportOf(error) };
    });
    const { certificate, goldens } = 'error' in certified ? { certificate: null, goldens: [] } : certified;
    const written = await writeBundle({
      input,
      files: [
        { id: model, ...exported, certificate, goldens },
        {
          id: weights,
          ...(await writeModel(runs, runId, checkpoint, weights, output)).exported,
          certificate: null,
          goldens: [],
        },
      ],
      configYaml: configToYaml({ ...checkpoint.config, output }),
      modelCard: null,
    });
    return {
      ...writtenFile(written, 'application/zip', input),
      check:
        'error' in certified
          ? { certificate: null, error: certified.error }
          : {
              certificate: certified.certificate,
              secondsEach: certified.secondsEach,
              further: certified.further,
            },
    };
  };

  return {
    exportBundle: (payload) =>
      cancellable(
        payload.workId,
        () => new WritingCancelledError(),
        (signal) => bundle(payload, signal),
      ),
  };
}
