import { architectures, buildGraph } from '../architectures/index.ts';
import { initialWeights } from '../architectures/initialise.ts';
import type { ArchitectureName } from '../architectures/settings.ts';
import type { Config } from '../config/schema.ts';
import { evaluationSource } from '../dataset/evaluationSource.ts';
import { findDataset } from '../dataset/identity.ts';
import { membersOf, splitWith, withAncestors } from '../dataset/members.ts';
import { sizesOf } from '../dataset/split.ts';
import type { Dataset, DatasetStore, ImageDecoder, ImageSource, Members } from '../dataset/types.ts';
import type { AdapterReport, Backend, DeviceSetting, Engine } from '../engine/types.ts';
import type { Graph } from '../graph/types.ts';
import { createControl, type Control } from '../training/control.ts';
import {
  AlreadyTrainingError,
  DatasetChangedError,
  NoCheckpointError,
  TrainingElsewhereError,
} from '../training/errors.ts';
import { secondsPerImage } from '../training/earlierRuns.ts';
import { estimate } from '../training/estimate.ts';
import type { RunEvent } from '../training/events.ts';
import type { FirstWeights, WeightsProgress } from '../training/inputs.ts';
import { newRun, runTraining } from '../training/run.ts';
import type { FeatureStore, RunRecord, RunStore } from '../training/types.ts';
import type { Handlers } from './endpoint.ts';
import type { TrainerCommands, TrainerEvent } from './protocol.ts';
import { summaryOf } from './runSummary.ts';

/** What the platform gives to the trainer. */
export interface TrainerPlatform {
  readonly datasets: DatasetStore;
  readonly runs: RunStore;
  /** Null: what a frozen backbone gives stays in memory. */
  readonly features: FeatureStore | null;
  /** A checked one: the trainer sees what it judges on as whoever evaluates later. */
  readonly decoder: ImageDecoder;
  /** Uncropped caches. */
  sourceOf(dataset: Dataset): ImageSource;
  /** `began`: the device that a run began on, and goes on on with `auto`. */
  openEngine(setting: DeviceSetting, began?: Backend | null): Promise<Engine>;
  /** `anew`: what was measured before doesn't count. */
  probe(setting: DeviceSetting, anew: boolean): Promise<AdapterReport>;
  /** Pretrained, imported or random, as the configuration says, with a new head. */
  firstWeights(
    wanted: {
      readonly config: Config;
      readonly graph: Graph;
      readonly weightsId: string | null;
      readonly labels: readonly string[];
    },
    progress: WeightsProgress,
    signal: AbortSignal,
  ): Promise<FirstWeights>;
  /** What the model in a weights file was trained, picked and tested with; null where the file doesn't say. */
  membersOf(weightsId: string): Promise<Members | null>;
  /** Runs `work` as the only trainer of this browser; `held: false` where another tab trains. */
  exclusively<T>(
    work: (locked: boolean) => Promise<T>,
  ): Promise<{ readonly held: true; readonly value: T } | { readonly held: false }>;
  /** Whether any tab trains now. */
  isTraining(): Promise<boolean>;
  /** For the identity of a new run. */
  randomBytes(n: number): Uint8Array;
}

/** The trainer's commands over a platform: thin, so that a headless run and the worker share everything below. */
export function trainerCommands(
  platform: TrainerPlatform,
  emit: (event: TrainerEvent) => void,
): Handlers<TrainerCommands> {
  const { runs, datasets } = platform;
  let active: { control: Control; runId: string | null } | null = null;

  const busyWith = async <T>(runId: string | null, work: (control: Control) => Promise<T>): Promise<T> => {
    if (active !== null) throw new AlreadyTrainingError();
    active = { control: createControl(), runId };
    try {
      return await work(active.control);
    } finally {
      active = null;
    }
  };

  const datasetOf = async (id: string): Promise<Dataset> => {
    const dataset = await datasets.read(id);
    if (dataset === undefined) throw new DatasetChangedError(id);
    return dataset;
  };

  /** An image that an earlier model was tested with is never trained on by one that starts from its weights. */
  const splitFrom = async (dataset: Dataset, config: Config, weightsId: string | null) => {
    const inherited = weightsId === null ? null : await platform.membersOf(weightsId);
    return { inherited, split: splitWith(dataset, config.data, inherited) };
  };

  const carryOn = (
    record: RunRecord,
    dataset: Dataset,
    control: Control,
    profile: boolean,
    notices: readonly string[],
  ): Promise<RunRecord> => {
    const config = record.config;
    const { architecture } = config.model;
    const graph = buildGraph(architecture, dataset.classes.length);
    let first: FirstWeights | null = null;
    const send = (event: RunEvent): void => emit({ runId: record.id, event });
    return runTraining({
      record,
      dataset,
      source: platform.sourceOf(dataset),
      cropsFor: (often) => evaluationSource(datasets, dataset, platform.decoder, config.data, undefined, often),
      graph,
      statistics: architectures[architecture],
      openEngine: (began) => platform.openEngine(config.training.device, began),
      firstWeights: async (progress, signal) =>
        (first ??= await platform.firstWeights(
          { config, graph, weightsId: record.weightsId, labels: dataset.classes },
          progress,
          signal,
        )),
      store: runs,
      features: platform.features,
      emit: send,
      control,
      profile,
      notices,
    });
  };

  const train = async (
    record: RunRecord,
    dataset: Dataset,
    control: Control,
    profile: boolean,
  ): Promise<{ runId: string }> => {
    const answer = await platform.exclusively((locked) =>
      carryOn(record, dataset, control, profile, locked ? [] : [WITHOUT_LOCK]),
    );
    if (!answer.held) throw new TrainingElsewhereError();
    return { runId: record.id };
  };

  return {
    probe: ({ device, anew = false }) => platform.probe(device, anew),
    estimate: ({ config, datasetId, weightsId }) =>
      busyWith(null, async (control) => {
        const dataset = await datasetOf(datasetId);
        const { split } = await splitFrom(dataset, config, weightsId);
        const classes = dataset.classes.length;
        const tell =
          (what: 'first step' | 'kernels') =>
          (done: number, total: number): void =>
            emit({ runId: '', event: { at: Date.now(), type: 'progress', what, done, total } });
        const progress = tell('first step');
        progress(0, 1);
        const engine = await platform.openEngine(config.training.device);
        engine.onPreparing(tell('kernels'));
        try {
          return await estimate({
            config,
            counts: sizesOf(split),
            classes,
            engine,
            graphFor: (name) => buildGraph(name, classes),
            weightsFor: (graph) => initialWeights(graph, architectures[graph.architecture as ArchitectureName], 0),
            secondsPerImage: (like) => secondsPerImage(runs, engine.adapter, like),
            control,
            progress,
          });
        } finally {
          await engine.dispose();
        }
      }),
    start: ({ config, datasetId, weightsId, profile = false }) => {
      const id = newRunId(platform.randomBytes(4));
      return busyWith(id, async (control) => {
        const dataset = await datasetOf(datasetId);
        const { split, inherited } = await splitFrom(dataset, config, weightsId);
        const members = withAncestors(membersOf(dataset, split), inherited);
        return train(newRun(id, config, dataset, weightsId, members), dataset, control, profile);
      });
    },
    resume: ({ runId, profile = false }) =>
      busyWith(runId, async (control) => {
        const record = await runs.read(runId);
        if (record === undefined) throw new NoCheckpointError();
        const dataset = await findDataset(datasets, record.dataset);
        if (dataset === undefined) throw new DatasetChangedError(record.dataset.name);
        return train(record, dataset, control, profile);
      }),
    pause: () => {
      active?.control.pause();
      return null;
    },
    continue: () => {
      active?.control.continue();
      return null;
    },
    stop: () => {
      active?.control.stop();
      return null;
    },
    suspend: () => {
      active?.control.suspend();
      return null;
    },
    runs: async () => {
      const somebodyTrains = active?.runId == null && (await platform.isTraining());
      return (await runs.list()).map((record) => {
        const alive = record.id === active?.runId || somebodyTrains;
        return summaryOf(record, record.state === 'running' && !alive ? 'interrupted' : record.state);
      });
    },
    membersOf: async ({ runId }) => {
      const record = await runs.read(runId);
      if (record === undefined) return null;
      if (record.members !== undefined) return record.members;
      // Of the first version: drawn from its data set.
      const dataset = await findDataset(datasets, record.dataset);
      return dataset === undefined ? null : membersOf(dataset, splitWith(dataset, record.config.data, null));
    },
    events: ({ runId }) => runs.events(runId),
    deleteRun: async ({ runId }) => {
      if (active?.runId === runId) throw new AlreadyTrainingError();
      await runs.delete(runId);
      return null;
    },
  };
}

const WITHOUT_LOCK =
  'This page was opened without https, so the browser cannot tell whether another tab is training, and may freeze this tab ' +
  'while it is hidden: keep it in view.';

/** Sorts by time; not a secret. */
function newRunId(bytes: Uint8Array): string {
  const suffix = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${new Date().toISOString().replace(/[-:]|\.\d+Z$/g, '')}-${suffix}`;
}
