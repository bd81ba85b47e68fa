import { architectures } from '../architectures/index.ts';
import type { ArchitectureName } from '../architectures/settings.ts';
import { evaluationSource } from '../dataset/evaluationSource.ts';
import { findDataset } from '../dataset/identity.ts';
import { splitWith } from '../dataset/members.ts';
import type { DatasetStore, ImageDecoder } from '../dataset/types.ts';
import { turn } from '../turn.ts';
import { classify } from '../evaluation/classify.ts';
import { DatasetChangedError } from '../training/errors.ts';
import type { RunStore } from '../training/types.ts';
import type { BundleCommands } from './bundleCommands.ts';
import type { CancellableWorks } from './cancelling.ts';
import type { CertifyingCommands } from './certifyingCommands.ts';
import { WritingCancelledError } from './certifyingErrors.ts';
import { checkpointCommands } from './checkpointCommands.ts';
import type { DemoCommands } from './demoCommands.ts';
import type { Handlers } from './endpoint.ts';
import type { WeightsCommands } from './firstWeights.ts';
import { judge } from './judge.ts';
import type { LoadedModels } from './loadedModel.ts';
import type { ModelCommands, ModelEvent } from './protocol.ts';
import type { VersionCommands } from './versionCommands.ts';
import { reportOf, writeModel, writtenFile } from './writtenModel.ts';

/** What the platform gives to the model worker. */
export interface ModelPlatform extends Pick<WeightsCommands, 'importWeights'> {
  readonly datasets: DatasetStore;
  readonly runs: RunStore;
  /** A checked one. */
  readonly decoder: ImageDecoder;
  readonly works: CancellableWorks;
}

/** Commands about weights files, versions and shared models need no engine: the roots put them beside these. */
type EngineCommands = Omit<
  Handlers<ModelCommands>,
  | keyof WeightsCommands
  | keyof VersionCommands
  | keyof DemoCommands
  | keyof CertifyingCommands
  | keyof BundleCommands
  | 'cancel'
>;

/** Evaluation, Try and export of a run's best checkpoint, on an engine of this worker's own: it answers while a run is on. */
export function modelCommands(
  platform: ModelPlatform,
  { inTurn, bestOf, load }: LoadedModels,
  emit: (event: ModelEvent) => void,
): EngineCommands {
  const { runs } = platform;

  return {
    evaluate: ({ runId, split }) =>
      inTurn(async () => {
        const { checkpoint, network } = await load(runId);
        const dataset = await findDataset(platform.datasets, checkpoint.dataset);
        if (dataset === undefined) throw new DatasetChangedError(checkpoint.dataset.name);
        const indices = splitWith(dataset, checkpoint.config.data, checkpoint.members ?? null)[split];
        const source = evaluationSource(platform.datasets, dataset, platform.decoder, checkpoint.config.data);
        const report = await judge(
          network,
          checkpoint,
          { dataset, source, indices, split },
          {
            onProgress: (done, total) => emit({ type: 'modelProgress', what: 'evaluating', done, total }),
            between: turn,
          },
        );
        // Weights that their run didn't judge are judged here: their exports then say how good they are, as those of a whole run do.
        if (split === 'test' && (await reportOf(runs, runId, checkpoint)) === null)
          await runs.appendEvents(runId, [{ at: Date.now(), type: 'testEvaluated', epoch: checkpoint.epoch, report }]);
        return report;
      }),

    predict: ({ runId, file }) =>
      inTurn(async () => {
        const image = await platform.decoder.decode(new Uint8Array(await file.arrayBuffer()));
        const { checkpoint, network } = await load(runId);
        const { img_size: size, geometry } = checkpoint.config.data;
        const { mean, std } = architectures[checkpoint.architecture as ArchitectureName];
        const { temperature = 1, dataset } = checkpoint;
        return classify(network, image, { labels: dataset.classes, size, geometry, mean, std, temperature });
      }),

    exportModel: ({ runId, format, output, workId }) =>
      platform.works.cancellable(
        workId,
        () => new WritingCancelledError(),
        (signal) =>
          inTurn(async () => {
            signal.throwIfAborted();
            const checkpoint = await bestOf(runId);
            signal.throwIfAborted();
            const { kind, input, exported } = await writeModel(runs, runId, checkpoint, format, output);
            return writtenFile(exported, kind.mediaType, input);
          }),
      ),

    keepWeights: ({ runId }) =>
      inTurn(async () => {
        const checkpoint = await bestOf(runId);
        const { input, exported } = await writeModel(runs, runId, checkpoint, 'safetensors');
        const best = checkpoint.history.find(({ epoch }) => epoch === checkpoint.epoch);
        const accuracy = input.metadata.test?.accuracy ?? best?.validation?.accuracy;
        const at = (await runs.read(runId))?.createdAt ?? Date.now();
        const name = `Run of ${dayOf(at)}${accuracy === undefined ? '' : `, ${percent(accuracy)}`} · ${checkpoint.dataset.name}`;
        const architecture = checkpoint.architecture as ArchitectureName;
        return platform.importWeights({ file: new Blob([exported.bytes]), name, architecture });
      }),

    ...checkpointCommands(platform),
  };
}

/** `24 Nov` */
const dayOf = (at: number): string => new Date(at).toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
/** `98.8 %` */
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
