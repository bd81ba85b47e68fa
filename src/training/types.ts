import type { ModelSettings } from '../architectures/settings.ts';
import type { DataSettings } from '../dataset/settings.ts';
import type { Members, Split } from '../dataset/types.ts';
import type { Cuts, OptimiserState } from '../engine/types.ts';
import type { OutputSettings } from '../export/settings.ts';
import type { Weights } from '../graph/types.ts';
import type { EpochRecord, RunEvent, WeightsOrigin } from './events.ts';
import type { TrainingSettings } from './settings.ts';

/** The effective configuration, by each room's own settings: what `src/config` assembles. */
export interface RunConfig {
  readonly data: DataSettings;
  readonly model: ModelSettings;
  readonly training: TrainingSettings;
  readonly output: OutputSettings;
}

export interface RunDataset {
  readonly id: string;
  readonly name: string;
  readonly hash: string;
  readonly synthetic: boolean;
  readonly classes: readonly string[];
}

/** What a list of runs needs to know of one; kept beside its log and checkpoints. */
export interface RunRecord {
  readonly schema: 4;
  readonly id: string;
  /** ms since the epoch. */
  readonly createdAt: number;
  readonly config: RunConfig;
  readonly dataset: RunDataset;
  /** An imported weights file that the run starts from; null: as `model.pretrained` says. */
  readonly weightsId: string | null;
  /**
   * The split that the run trains and is judged with, and those of the models that it is descended from; absent in records of the
   * first version: drawn as `config.data` says.
   */
  readonly members?: Members;
  readonly state: 'running' | 'stopped' | 'completed' | 'failed';
  /** Epochs of the checkpoints that are kept: the newest, and the one with the lowest validation loss. */
  readonly latestEpoch: number | null;
  readonly bestEpoch: number | null;
  /** Bytes of the kept checkpoints. */
  readonly storedBytes: number;
}

/** Where runs are kept. Implemented on IndexedDB by `platform/browser`, in memory by `platform/node`. */
export interface RunStore {
  /** Newest first. */
  list(): Promise<RunRecord[]>;
  read(id: string): Promise<RunRecord | undefined>;
  write(record: RunRecord): Promise<void>;
  events(id: string): Promise<RunEvent[]>;
  appendEvents(id: string, events: readonly RunEvent[]): Promise<void>;
  /**
   * Keeps the checkpoint of `epoch` and the record that points to it in one transaction, then removes checkpoints that the
   * record no longer points to. `storedBytes` of the record is counted here; returns the record as written.
   */
  writeCheckpoint(record: RunRecord, epoch: number, bytes: Uint8Array): Promise<RunRecord>;
  readCheckpoint(id: string, which: 'latest' | 'best'): Promise<Uint8Array | undefined>;
  delete(id: string): Promise<void>;
}

/** One view of some images through one backbone, by what determines every bit of it. */
export interface FeatureSet {
  /** 32 hex digits. */
  readonly id: string;
  /** `Dataset.hash`. */
  readonly dataset: string;
}

/**
 * Where what a frozen backbone gave is kept for the next run. A cache: whatever is gone or damaged is computed anew. Implemented on
 * IndexedDB by `platform/browser`, on disk by `platform/node`.
 */
export interface FeatureStore {
  /** What is there of the set, by chunk, as it was written. The set counts as used now. */
  read(set: FeatureSet): Promise<ReadonlyMap<number, Uint8Array>>;
  /** Makes room by removing the sets that were used least lately. Throws where nothing can be written: that is no reason to end a run. */
  write(set: FeatureSet, chunk: number, bytes: Uint8Array): Promise<void>;
  /** All of one data set; null: everything, in whatever form it is stored. */
  delete(dataset: string | null): Promise<void>;
  /** Bytes of all of it. */
  storedBytes(): Promise<number>;
}

/**
 * State of the random numbers of a run. They are counter-based: a draw depends on seed, stream and counters, so that these are all of
 * the generator's state.
 */
export interface RandomState {
  /** `GENERATOR` of src/random.ts. */
  readonly generator: string;
  /** `training.seed` and `data.seed`. */
  readonly seeds: { readonly training: number; readonly split: number };
  /** `STREAMS` of src/random.ts: what each use of a seed begins with. */
  readonly streams: Readonly<Record<string, number>>;
  /** `AUGMENTATION_FORM` of augmentation.ts: another one makes other pixels of the same draws. */
  readonly augmentation?: number;
  /** What is drawn for next: the epoch (order, augmentation), the updates made so far (dropout). */
  readonly next: { readonly epoch: number; readonly step: number };
}

/** All that it takes to go on as if nothing had happened, or to use the model. */
export interface Checkpoint {
  readonly schema: 1;
  readonly runId: string;
  /** The last epoch that was trained; a stop may have cut it short. */
  readonly epoch: number;
  readonly config: RunConfig;
  readonly dataset: RunDataset;
  readonly architecture: string;
  /** What the batch norms of its network add to a variance; absent in older ones: as the architecture does. */
  readonly batchNormEps?: number | null;
  readonly origin: WeightsOrigin;
  /** Images that BatchNorm saw at once. */
  readonly batchnormBatch: number;
  /** Of its steps' products; absent: the defaults. */
  readonly cuts?: Cuts;
  /** What its logits are divided by to become probabilities, fitted on validation; absent in older ones, and where nothing validated: 1. */
  readonly temperature?: number;
  readonly history: readonly EpochRecord[];
  readonly bestEpoch: number | null;
  /** As in `RunRecord`. */
  readonly members?: Members;
  /** Images of its data set in each split; `members` may name more. Absent in checkpoints of the first version. */
  readonly counts?: Readonly<Record<Split, number>>;
  /** Absent in checkpoints of older pages: the same numbers in the same order, but other pixels where images are augmented. */
  readonly random?: RandomState;
  /** The images of the next epoch in the order in which it sees them: indices into the data set of `dataset.hash`. Absent as `random`. */
  readonly order?: readonly number[];
  readonly weights: Weights;
  readonly optimiser: OptimiserState;
}
