import type { AdapterReport } from '../engine/types.ts';
import type { Split } from '../dataset/types.ts';
import type { ClassMetrics } from '../evaluation/types.ts';
import { countsOf } from './checkpoint.ts';
import type { EpochMetrics, EpochRecord, WeightsOrigin } from './events.ts';
import type { RunState } from './runState.ts';
import type { Checkpoint, RunConfig, RunDataset } from './types.ts';

/** `metrics.json` beside a model: how good it is, and what it was made of. Shares are 0–1, losses are nats. */
export interface MetricsFile {
  readonly schema: 1;
  /** Judged once, with the weights of `epoch`; null where that has not been done. */
  readonly test: {
    readonly accuracy: number;
    readonly loss: number;
    readonly n: number;
    /** Wilson score interval, 95 %. */
    readonly interval: readonly [number, number];
    readonly precision: number;
    readonly recall: number;
    readonly perClass: readonly ClassMetrics[];
  } | null;
  /** Of `epoch`; null where there is no validation split. */
  readonly validation: EpochMetrics | null;
  /** The epoch whose weights the model has. */
  readonly epoch: number;
  readonly epochs: readonly EpochRecord[];
  readonly architecture: string;
  readonly startedFrom: WeightsOrigin;
  readonly config: RunConfig;
  readonly dataset: RunDataset & { readonly counts: Readonly<Record<Split, number>> | null };
  /** Of new weights, order, augmentation, dropout. */
  readonly seed: number;
  readonly adapter: AdapterReport | null;
}

/** `run`: the state that the run's log folds to. A Test report of other weights than the checkpoint's says nothing about it. */
export function metricsOf(
  checkpoint: Checkpoint,
  run: Pick<RunState, 'test' | 'adapter' | 'dataset' | 'history'>,
): MetricsFile {
  const { config, epoch, architecture, origin } = checkpoint;
  const epochs = run.history.length > checkpoint.history.length ? run.history : checkpoint.history;
  const report = run.test?.epoch === epoch ? run.test.report : null;
  return {
    schema: 1,
    test: report && {
      accuracy: report.accuracy,
      loss: report.loss,
      n: report.n,
      interval: report.accuracyInterval,
      precision: report.precision,
      recall: report.recall,
      perClass: report.perClass,
    },
    validation: epochs.find((row) => row.epoch === epoch)?.validation ?? null,
    epoch,
    epochs,
    architecture,
    startedFrom: origin,
    config,
    dataset: { ...checkpoint.dataset, counts: run.dataset?.counts ?? countsOf(checkpoint) ?? null },
    seed: config.training.seed,
    adapter: run.adapter,
  };
}

export function metricsText(metrics: MetricsFile): string {
  return `${JSON.stringify(metrics, null, 2)}\n`;
}
