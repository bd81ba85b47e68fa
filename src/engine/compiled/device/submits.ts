import { encode, type Command } from './commands.ts';

/** A submit holds the device no longer than this, ms: an integrated GPU's desktop stays alive, and no driver's watchdog bites. */
const LONGEST = 100;

/** Cuts a step's commands into submits by how long the steps before took. */
export interface Submits {
  /**
   * Hands the commands to the device; `before` and `after` are recorded into the first and the last submit, the commands by `record`.
   * Gives the number of submits.
   */
  run(
    commands: readonly Command[],
    before?: (encoder: GPUCommandEncoder) => void,
    after?: (encoder: GPUCommandEncoder) => void,
    record?: typeof encode,
  ): number;
  /** What it took until the device was done, ms. */
  measured(milliseconds: number): void;
}

/** `guess`: ms, before anything was measured. */
export function createSubmits(device: GPUDevice, guess: number): Submits {
  let expected = guess;
  let recent: readonly number[] = [];
  return {
    run(commands, before, after, record = encode) {
      const total = commands.reduce((sum, { weight }) => sum + weight, 0);
      const count = Math.max(1, Math.min(commands.length, Math.ceil(expected / LONGEST)));
      let begin = 0;
      let sofar = 0;
      let submitted = 0;
      for (let part = 1; part <= count; part++) {
        let end = begin;
        while (end < commands.length && (part === count || sofar < (total * part) / count))
          sofar += commands[end++]!.weight;
        const isLast = part === count;
        if (end === begin && !isLast) continue;
        const encoder = device.createCommandEncoder();
        if (submitted === 0) before?.(encoder);
        if (end > begin) record(encoder, commands, begin, end);
        if (isLast) after?.(encoder);
        device.queue.submit([encoder.finish()]);
        submitted++;
        begin = end;
      }
      return submitted;
    },
    measured(milliseconds) {
      // The middle of three: of two that are read late one after the other the second seems to take no time, and one that was held up
      // says nothing of the next.
      recent = [milliseconds, ...recent.slice(0, 2)];
      expected = recent.toSorted((a, b) => b - a)[recent.length === 3 ? 1 : 0]!;
    },
  };
}
