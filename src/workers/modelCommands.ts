import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { architectures } from '../architectures/index.ts';
import type { ArchitectureName } from '../architectures/settings.ts';
import { evaluationSource } from '../dataset/evaluationSource.ts';
import { findDataset } from '../dataset/identity.ts';
import { splitWith } from '../dataset/members.ts';
import type { DatasetStore, ImageDecoder } from '../dataset/types.ts';
import type { DeviceSetting, Engine, Network } from '../engine/types.ts';
import { turn } from '../turn.ts';
import { classify } from '../evaluation/classify.ts';
import type { EvaluationReport } from '../evaluation/types.ts';
import { exportFormats, type ExportInput } from '../export/index.ts';
import { exportInput } from '../registry/exportInput.ts';
import { readCheckpoint } from '../training/checkpoint.ts';
import { DatasetChangedError, NoCheckpointError } from '../training/errors.ts';
import { foldRun } from '../training/runState.ts';
import type { Checkpoint, RunStore } from '../training/types.ts';
import { checkpointCommands } from './checkpointCommands.ts';
import type { DemoCommands } from './demoCommands.ts';
import type { Handlers } from './endpoint.ts';
import type { WeightsCommands } from './firstWeights.ts';
import { judge, networkOf } from './judge.ts';
import type { ModelCommands, ModelEvent } from './protocol.ts';
import type { VersionCommands } from './versionCommands.ts';

/** What the platform gives to the model worker. */
export interface ModelPlatform extends Pick<WeightsCommands, 'importWeights'> {
  readonly datasets: DatasetStore;
  readonly runs: RunStore;
  /** A checked one. */
  readonly decoder: ImageDecoder;
  openEngine(setting: DeviceSetting): Promise<Engine>;
}

/** Commands about weights files, versions and shared models need no engine: the roots put them beside these. */
type EngineCommands = Omit<Handlers<ModelCommands>, keyof WeightsCommands | keyof VersionCommands | keyof DemoCommands>;

interface LoadedModel {
  readonly runId: string;
  readonly epoch: number;
  readonly checkpoint: Checkpoint;
  readonly network: Network;
  readonly engine: Engine;
}

/** Evaluation, Try and export of a run's best checkpoint, on an engine of this worker's own: it answers while a run is on. */
export function modelCommands(platform: ModelPlatform, emit: (event: ModelEvent) => void): EngineCommands {
  const { runs } = platform;
  let loaded: LoadedModel | null = null;
  let queue: Promise<unknown> = Promise.resolve();
  /** Commands take turns: there is one engine, and a model must not be replaced under an evaluation. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = queue.then(work);
    queue = result.catch(() => undefined);
    return result;
  };

  const bestOf = async (runId: string): Promise<Checkpoint> => {
    const bytes = await runs.readCheckpoint(runId, 'best');
    if (bytes === undefined) throw new NoCheckpointError();
    return readCheckpoint(bytes);
  };

  /** The Test report of these very weights; null where they were not judged, though others of the run may have been. */
  const reportOf = async (runId: string, { epoch }: Checkpoint): Promise<EvaluationReport | null> => {
    const { test } = foldRun(await runs.events(runId));
    return test?.epoch === epoch ? test.report : null;
  };
  const testOf = async (runId: string, checkpoint: Checkpoint): Promise<ExportInput['metadata']['test']> => {
    const report = await reportOf(runId, checkpoint);
    return report && { n: report.n, accuracy: report.accuracy, interval: report.accuracyInterval };
  };

  const load = async (runId: string): Promise<LoadedModel> => {
    const epoch = (await runs.read(runId))?.bestEpoch ?? null;
    if (loaded !== null && loaded.runId === runId && loaded.epoch === epoch) return loaded;
    const checkpoint = await bestOf(runId);
    const before = loaded;
    loaded = null;
    before?.network.dispose();
    await before?.engine.dispose();
    const engine = await platform.openEngine(checkpoint.config.training.device);
    const network = await networkOf(checkpoint, engine);
    const made: LoadedModel = { runId, epoch: checkpoint.epoch, checkpoint, network, engine };
    // A device that is lost while nothing is asked of it must not answer the next question.
    void engine.lost.then(() => {
      if (loaded === made) loaded = null;
    });
    loaded = made;
    return made;
  };

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
        if (split === 'test' && (await reportOf(runId, checkpoint)) === null)
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

    exportModel: ({ runId, format, output }) =>
      inTurn(async () => {
        const checkpoint = await bestOf(runId);
        const config = { ...checkpoint.config, output: output ?? checkpoint.config.output };
        const kind = exportFormats[format];
        emit({ type: 'modelProgress', what: 'exporting', done: 0, total: 1 });
        const input = exportInput(checkpoint, config, await testOf(runId, checkpoint));
        const { fileName, bytes } = await kind.write(input);
        emit({ type: 'modelProgress', what: 'exporting', done: 1, total: 1 });
        return { fileName, blob: new Blob([bytes], { type: kind.mediaType }), sha256: bytesToHex(sha256(bytes)) };
      }),

    keepWeights: ({ runId }) =>
      inTurn(async () => {
        const checkpoint = await bestOf(runId);
        const test = await testOf(runId, checkpoint);
        const { bytes } = await exportFormats.safetensors.write(exportInput(checkpoint, checkpoint.config, test));
        const best = checkpoint.history.find(({ epoch }) => epoch === checkpoint.epoch);
        const accuracy = test?.accuracy ?? best?.validation?.accuracy;
        const at = (await runs.read(runId))?.createdAt ?? Date.now();
        const name = `Run of ${dayOf(at)}${accuracy === undefined ? '' : `, ${percent(accuracy)}`} · ${checkpoint.dataset.name}`;
        const architecture = checkpoint.architecture as ArchitectureName;
        return platform.importWeights({ file: new Blob([bytes]), name, architecture });
      }),

    ...checkpointCommands(platform),
  };
}

/** `24 Nov` */
const dayOf = (at: number): string => new Date(at).toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
/** `98.8 %` */
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
