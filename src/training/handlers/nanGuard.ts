import type { Weights } from '../../graph/types.ts';
import { NotANumberError } from '../errors.ts';
import type { Handler } from '../trainer.ts';

/**
 * Ends the run at the first loss that isn't a number; the step made no update, and earlier checkpoints are kept. One that float16 has
 * skipped is made good by the next. The last update
 * of an epoch shows in no loss: there the weights themselves are looked at, before a checkpoint can replace good ones.
 */
export function nanGuard(
  trained: () => Promise<Weights>,
  learningRate: number,
  lastGood: () => number | null,
): Handler {
  let last = 0;
  return {
    stepEnded: ({ loss, epoch, step, skipped }) => {
      last = step;
      if (!skipped && !Number.isFinite(loss)) throw new NotANumberError(epoch, step, learningRate, lastGood());
    },
    epochEnded: async (epoch) => {
      for (const { data } of (await trained()).values()) {
        if (!data.every(Number.isFinite)) throw new NotANumberError(epoch, last, learningRate, lastGood());
      }
    },
  };
}
