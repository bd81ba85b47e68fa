import type { LossScale } from '../types.ts';

/**
 * Dynamic loss scaling, torch.amp.GradScaler's: gradients of float16 maps are computed of the loss times `scale`, so that small ones don't
 * vanish, and divided by it where they are float32. A step whose gradients are not finite makes no update and halves the scale; so many
 * good ones in a row double it. Powers of 2: multiplying by them rounds nothing.
 */
export const FIRST_LOSS_SCALE: LossScale = { scale: 2 ** 16, good: 0, skipped: 0 };

const GROWTH_INTERVAL = 2000;

/** Skipped in a row, they are no accident of the scale any more: it is 1/16 by then. */
export const MOST_SKIPPED = 20;

/** `finite`: of the gradients of the step that was made with it. */
export function lossScaleAfter({ scale, good, skipped }: LossScale, finite: boolean): LossScale {
  if (!finite) return { scale: scale / 2, good: 0, skipped: skipped + 1 };
  if (good + 1 < GROWTH_INTERVAL) return { scale, good: good + 1, skipped: 0 };
  return { scale: scale * 2, good: 0, skipped: 0 };
}
