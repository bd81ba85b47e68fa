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
  /** Data, forward, backward, update. */
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
  /** Asked after each step: lets commands in. What it throws ends the loop, its epoch unfinished. */
  gate(): Promise<'go' | 'stop'>;
  readonly handlers: readonly Handler[];
}

/** The loop: for each batch forward, loss, backward, update. Everything else is a handler. */
export async function train<Batch extends Labelled>(loop: Loop<Batch>): Promise<'completed' | 'stopped'> {
  const { handlers } = loop;
  for (let epoch = loop.firstEpoch; epoch <= loop.epochs; epoch++) {
    for (const handler of handlers) await handler.epochStarted?.(epoch);
    let step = 0;
    let stopped = false;
    let started = performance.now();
    for await (const batch of loop.batches(epoch)) {
      const result = await loop.step(batch);
      const seconds = (performance.now() - started) / 1000;
      step += 1;
      for (const handler of handlers) await handler.stepEnded?.({ ...result, epoch, step, batch, seconds });
      stopped = (await loop.gate()) === 'stop';
      if (stopped) break;
      started = performance.now();
    }
    for (const handler of handlers) await handler.epochEnded?.(epoch);
    if (stopped || (epoch < loop.epochs && (await loop.gate()) === 'stop')) return 'stopped';
  }
  return 'completed';
}
