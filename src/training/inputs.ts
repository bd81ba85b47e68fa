import type { Dataset, ImageSource, Split } from '../dataset/types.ts';
import type { ChannelStatistics } from '../engine/normalise.ts';
import type { Backend, Engine, LossSettings } from '../engine/types.ts';
import type { Graph, Weights } from '../graph/types.ts';
import type { Control } from './control.ts';
import type { Emit } from './emit.ts';
import type { RunEvent, WeightsOrigin } from './events.ts';
import type { Fit } from './memory.ts';
import type { Checkpoint, FeatureStore, RunRecord, RunStore } from './types.ts';

/** Bytes; `more`: of a download. */
export type WeightsProgress = (
  done: number,
  total: number | null,
  more?: {
    /** Null until it can be told. */
    readonly secondsLeft: number | null;
    /** What broke and when it is tried again; null while bytes come. */
    readonly waiting: string | null;
  },
) => void;

export interface FirstWeights {
  readonly weights: Weights;
  /** The eps that the batch norms must have for these weights; null or absent: the graph's. */
  readonly batchNormEps?: number | null;
  readonly origin: WeightsOrigin;
  readonly warnings: readonly string[];
}

export interface RunInputs {
  /** A new run's record (`newRun`), or a stored one to go on with. */
  readonly record: RunRecord;
  readonly dataset: Dataset;
  /** Uncropped caches, to be augmented. */
  readonly source: ImageSource;
  /** What evaluation sees, and training without augmentation; memory is set aside for images that are read again and again. */
  readonly cropsFor: (often: readonly number[]) => ImageSource;
  /** The training graph for the data set's classes. */
  readonly graph: Graph;
  /** The architecture's normalisation. */
  readonly statistics: ChannelStatistics;
  /** `began`: the device that an earlier part of the run was trained on; null: there is none. */
  openEngine(began: Backend | null): Promise<Engine>;
  /** Pretrained, from a file, or random; with a new head. Called for a run that has no checkpoint; `signal`: stopped. */
  firstWeights(progress: WeightsProgress, signal: AbortSignal): Promise<FirstWeights>;
  readonly store: RunStore;
  /** What a frozen backbone gave in earlier runs; null: it is computed for this run, and kept in memory. */
  readonly features: FeatureStore | null;
  /** Live events; the log is stored beside. */
  readonly emit: (event: RunEvent) => void;
  readonly control: Control;
  /** One step is to be timed, kernel by kernel. */
  readonly profile?: boolean;
  /** Sentences for the user that belong at the head of the log. */
  readonly notices?: readonly string[];
}

/** What one device's worth of a run is given. */
export interface Attempt extends Omit<RunInputs, 'emit' | 'record' | 'cropsFor'> {
  readonly crops: ImageSource;
  readonly split: Readonly<Record<Split, readonly number[]>>;
  readonly loss: LossSettings;
  readonly stepsPerEpoch: number;
  /** The device that the run began on; null: it begins. */
  readonly began: Backend | null;
  /** Where to go on from; null: from the first weights. */
  readonly from: Checkpoint | null;
  /** Images that go through at once, and whether less of them is kept, where either was settled before; null: as memory allows. */
  readonly settled: { readonly part: number | null; readonly recompute: boolean | null };
  /** Hears how batches go through, and what is left to try if the device refuses it. */
  readonly planned: (fit: Fit, lesser: () => Fit | null) => void;
  readonly emit: Emit;
  /** Resolves once all that was emitted is stored, or can't be. */
  readonly logged: () => Promise<void>;
  readonly record: () => RunRecord;
  readonly saved: (record: RunRecord) => void;
}
