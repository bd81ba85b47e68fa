import type { Memory } from './memory.ts';

/**
 * What follows the calls of a step, once a batch, over flat `kept` memories that lie alike: parameters, gradients, what an optimiser keeps.
 * Ranges are in floats, multiples of 4. Where word `bad` of the step is not 0, nothing that outlives the step is changed by a bit.
 */

/** torch.nn.utils.clip_grad_norm_ over floats `begin … end − 1`, and a guard: a norm that is not finite sets `step.bad`. */
export interface GradientNorm {
  readonly gradient: Memory;
  readonly begin: number;
  readonly end: number;
  /** null: only the guard; the factor is 1. */
  readonly maxNorm: number | null;
  /** Gradients are of the loss times a scale, by which they are to be divided: `step.unscale`. */
  readonly scaled: boolean;
  /** `normPartials` floats, this kernel's alone. */
  readonly partials: Memory;
  /** `CLIP_WORDS.words` floats, written. */
  readonly clip: Memory;
  readonly step: Memory;
}

export const CLIP_WORDS = {
  /** What gradients are multiplied with. */
  factor: 0,
  /** Before clipping, without scale. */
  norm: 1,
  words: 4,
} as const;

/** Floats of gradients that one workgroup adds up. */
export const NORM_SPAN = 16384;

export function normPartials({ begin, end }: { readonly begin: number; readonly end: number }): number {
  return Math.max(4, Math.ceil((end - begin) / NORM_SPAN));
}

/** One update of floats `begin … end − 1`. */
export interface OptimiserStep {
  readonly value: Memory;
  readonly gradient: Memory;
  /** In the order of the optimiser's slots. */
  readonly slots: readonly Memory[];
  readonly begin: number;
  readonly end: number;
  /** The optimiser's floats stand at `STEP_WORDS.optimiser`. */
  readonly step: Memory;
  /** Of `GradientNorm`; null: gradients are taken as they are. */
  readonly clip: Memory | null;
}

/** Running statistics become what the step has made of them, `pending`; of a bad step, `pending` becomes what they were. */
export interface StatisticsCommit {
  readonly running: Memory;
  readonly pending: Memory;
  readonly step: Memory;
}
