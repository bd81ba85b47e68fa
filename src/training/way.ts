import type { OptimiserState, StepResult } from '../engine/types.ts';
import type { EvaluationReport } from '../evaluation/types.ts';
import type { Weights } from '../graph/types.ts';
import type { Labelled } from './trainer.ts';

/** How the steps of a run are made: each through the whole network, or by the head alone on features that were computed once. */
export interface Way<Batch extends Labelled> {
  batches(epoch: number): AsyncIterable<Batch>;
  /** Forward, loss, backward, update. */
  step(batch: Batch): Promise<StepResult>;
  /** As `Network.ahead`. */
  readonly ahead: boolean;
  /** What changes as it is trained. */
  trained(): Promise<Weights>;
  /** All that a checkpoint keeps of the network. */
  snapshot(): Promise<{ readonly weights: Weights; readonly optimiser: OptimiserState }>;
  /** Judges the validation split, with the temperature that fits it. */
  validate(): Promise<EvaluationReport>;
  /** Epochs take milliseconds: not every step is told, not every checkpoint written. */
  readonly quick: boolean;
  /** Seconds that an image takes through the network for the first time, where epochs don't show it; null: it isn't known. */
  readonly secondsUnread?: number | null;
}
