import type { StepResult } from '../engine/types.ts';

/** What the loop and its handlers know of a batch. */
export interface Labelled {
  readonly n: number;
  /** n class indices. */
  readonly labels: Int32Array;
}

export interface StepEnd extends StepResult {
  readonly epoch: number;
  /** In the epoch, from 1. */
  readonly step: number;
  readonly batch: Labelled;
  /** Data, forward, backward, update; of a step that was asked for ahead, since the one before it ended. */
  readonly seconds: number;
}

/** What attaches to the loop. Handlers are awaited, in the order in which they were given. */
export interface Handler {
  epochStarted?(epoch: number): void | Promise<void>;
  stepEnded?(step: StepEnd): void | Promise<void>;
  /** The epoch is complete, or a stop has cut it short. */
  epochEnded?(epoch: number): void | Promise<void>;
}

export interface Loop<Batch extends Labelled> {
  readonly firstEpoch: number;
  readonly epochs: number;
  batches(epoch: number): AsyncIterable<Batch>;
  /** Forward, loss, backward, update. */
  step(batch: Batch): Promise<StepResult>;
  /** Whether a step is asked for before the result of the one before is there; that one's end is told then. */
  readonly ahead?: boolean;
  /** Asked after each step: lets commands in. What it throws ends the loop, its epoch unfinished. `beforePause`: ends what is under way. */
  gate(beforePause?: () => Promise<void>): Promise<'go' | 'stop'>;
  readonly handlers: readonly Handler[];
}

/** The loop: for each batch forward, loss, backward, update. Everything else is a handler. */
export async function train<Batch extends Labelled>(loop: Loop<Batch>): Promise<'completed' | 'stopped'> {
  const { handlers } = loop;
  for (let epoch = loop.firstEpoch; epoch <= loop.epochs; epoch++) {
    for (const handler of handlers) await handler.epochStarted?.(epoch);
    let step = 0;
    let stopped = false;
    let since = performance.now();
    /** Asked for, its end not told: one at most. */
    const underWay: { readonly batch: Batch; readonly result: Promise<StepResult> }[] = [];
    const endStep = async (): Promise<void> => {
      const asked = underWay.pop();
      if (asked === undefined) return;
      const { batch } = asked;
      const result = await asked.result;
      const now = performance.now();
      const seconds = (now - since) / 1000;
      since = now;
      step += 1;
      for (const handler of handlers) await handler.stepEnded?.({ ...result, epoch, step, batch, seconds });
    };
    for await (const batch of loop.batches(epoch)) {
      const result = loop.step(batch);
      // Where the one before it ends the loop, nobody waits for this one.
      result.catch(() => undefined);
      await endStep();
      underWay.push({ batch, result });
      if (!loop.ahead) await endStep();
      stopped = (await loop.gate(endStep)) === 'stop';
      if (stopped) break;
      if (underWay.length === 0) since = performance.now();
    }
    if (underWay.length > 0) {
      await endStep();
      stopped ||= (await loop.gate()) === 'stop';
    }
    for (const handler of handlers) await handler.epochEnded?.(epoch);
    if (stopped || (epoch < loop.epochs && (await loop.gate()) === 'stop')) return 'stopped';
  }
  return 'completed';
}
