import { NotANumberError } from '../errors.ts';
import type { Handler } from '../trainer.ts';

/** Ends the run at the first loss that isn't a number; the step made no update, and earlier checkpoints are kept. */
export function nanGuard(learningRate: number, lastGood: () => number | null): Handler {
  return {
    stepEnded: ({ loss, epoch, step }) => {
      if (!Number.isFinite(loss)) throw new NotANumberError(epoch, step, learningRate, lastGood());
    },
  };
}
