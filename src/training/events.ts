import type { ErrorReport } from '../errors.ts';
import type { ProfileSum } from '../engine/profile.ts';
import type { AdapterReport } from '../engine/types.ts';
import type { EvaluationReport } from '../evaluation/types.ts';
import type { Split } from '../dataset/types.ts';
import type { ArchitectureName } from '../architectures/settings.ts';

/** Where a run's first weights came from. */
export type WeightsOrigin =
  | { readonly kind: 'random'; readonly seed: number }
  | { readonly kind: 'pretrained'; readonly name: string; readonly sha256: string; readonly verified: boolean }
  /** `verified`: a checksum that is known, or the one in its name, was met; absent in events of older pages. */
  | { readonly kind: 'file'; readonly name: string; readonly sha256: string; readonly verified?: boolean }
  | { readonly kind: 'checkpoint'; readonly epoch: number };

export interface EpochMetrics {
  readonly n: number;
  readonly loss: number;
  readonly accuracy: number;
  /** Mean over the classes that were predicted at all. */
  readonly precision: number;
}

export interface EpochRecord {
  readonly epoch: number;
  readonly train: EpochMetrics;
  /** Null where there is no validation split. */
  readonly validation: EpochMetrics | null;
  readonly seconds: number;
  readonly best: boolean;
}

/** A measured forecast for one way to train. */
export interface TrainingOption {
  readonly architecture: ArchitectureName;
  readonly layers: 'all' | 'head';
  readonly batchSize: number;
  /** Images that BatchNorm sees at once; equals batchSize where the batch fits whole. */
  readonly batchnormBatch: number;
  readonly secondsPerStep: number;
  /** Validation included; what a frozen backbone is asked for once is not. */
  readonly secondsPerEpoch: number;
  /** Whole run, validation included, with its epochs. */
  readonly totalSeconds: number;
  readonly peakBytes: number;
  readonly fits: boolean;
  /** Steps were timed, an earlier run on this device was like it, or it is scaled by FLOPs from one of which either is so. */
  readonly basis: 'timed' | 'run' | 'scaled';
}

/** Where the time of one training step went, as the device has told. Small enough for the log. */
export interface StepTimes {
  /** Of the whole step, by the trainer's clock; the dispatches' own times are in the sums. */
  readonly milliseconds: number;
  /** By kind of kernel, the dearest first. */
  readonly kernels: readonly ProfileSum[];
  /** The dearest layers (`input` and `update` among them), at most thirty. */
  readonly layers: readonly ProfileSum[];
}

/**
 * Everything that happens to a run, in order. The log is stored; state is a fold over it (`foldRun`). `at` is ms since the epoch.
 * Epochs count from 1, and so do steps, within their epoch.
 */
export type RunEvent = { readonly at: number } & (
  | {
      readonly type: 'runStarted';
      readonly runId: string;
      /** Effective configuration: `Config` of src/config (kept opaque here; training sees its own sections). */
      readonly config: unknown;
      readonly dataset: {
        readonly id: string;
        readonly name: string;
        readonly hash: string;
        readonly synthetic: boolean;
        readonly classes: readonly string[];
        readonly counts: Readonly<Record<Split, number>>;
      };
      readonly parameters: number;
      readonly epochs: number;
      readonly stepsPerEpoch: number;
    }
  | { readonly type: 'deviceReady'; readonly adapter: AdapterReport }
  | { readonly type: 'weightsReady'; readonly origin: WeightsOrigin; readonly warnings: readonly string[] }
  | {
      readonly type: 'progress';
      readonly what: 'device' | 'weights' | 'features' | 'first step' | 'kernels' | 'cuts';
      /** Bytes of weights; images whose features are known; kernels that are compiled, of those asked for so far; classes of products whose cuts were measured. */
      readonly done: number;
      readonly total: number | null;
      /** Until all of it is there, null until it can be told; and what a download waits for, null while bytes come. */
      readonly secondsLeft?: number | null;
      readonly waiting?: string | null;
    }
  | { readonly type: 'epochStarted'; readonly epoch: number }
  | {
      readonly type: 'step';
      readonly epoch: number;
      readonly step: number;
      readonly loss: number;
      /** Share of this batch that was right. */
      readonly accuracy: number;
      readonly learningRate: number;
      readonly secondsPerStep: number;
      readonly imagesPerSecond: number;
      /** To the end of the run; null until it can be honest. */
      readonly etaSeconds: number | null;
    }
  /** `step`: counted from the beginning or the resuming; `times` null: neither this device nor this way to train can tell. */
  | { readonly type: 'stepProfiled'; readonly step: number; readonly times: StepTimes | null }
  /** How long an epoch takes by the run's first steps, validation included; once it can be told and the first epoch isn't over. */
  | { readonly type: 'forecast'; readonly secondsPerEpoch: number }
  | { readonly type: 'evaluating'; readonly split: Split; readonly done: number; readonly total: number }
  | {
      readonly type: 'epochEnded';
      readonly epoch: number;
      readonly train: EpochMetrics;
      /** Null where there is no validation split. */
      readonly validation: EpochMetrics | null;
      readonly seconds: number;
      readonly best: boolean;
    }
  | { readonly type: 'checkpointSaved'; readonly epoch: number; readonly best: boolean; readonly bytes: number }
  | { readonly type: 'batchSplit'; readonly batchnormBatch: number; readonly reason: string }
  /** A sentence for the user that no other event carries. */
  | { readonly type: 'notice'; readonly text: string }
  | { readonly type: 'paused' }
  | { readonly type: 'continued' }
  /** `missed`: epochs up to `fromEpoch` that the checkpoint knows and the log before does not; absent where there is none. */
  | { readonly type: 'resumed'; readonly fromEpoch: number; readonly missed?: readonly EpochRecord[] }
  | { readonly type: 'deviceLost'; readonly reason: string }
  | { readonly type: 'workerLost'; readonly reason: string }
  | { readonly type: 'testEvaluated'; readonly epoch: number; readonly report: EvaluationReport }
  | { readonly type: 'finished'; readonly reason: 'completed' | 'stopped'; readonly bestEpoch: number | null }
  | { readonly type: 'failed'; readonly error: ErrorReport }
);

export type RunEventType = RunEvent['type'];
