import type { Network, StepResult, TrainingBatch } from '../engine/types.ts';
import { splitBatch } from './batches.ts';

export interface StepEnd extends StepResult {
  readonly epoch: number;
  /** In the epoch, from 1. */
  readonly step: number;
  readonly batch: TrainingBatch;
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

export interface Loop {
  readonly network: Network;
  readonly firstEpoch: number;
  readonly epochs: number;
  readonly learningRate: number;
  /** Images that go through the network, and so BatchNorm, at once. */
  readonly partSize: number;
  batches(epoch: number): AsyncIterable<TrainingBatch>;
  /** Asked after each step: lets commands in. What it throws ends the loop, its epoch unfinished. */
  gate(): Promise<'go' | 'stop'>;
  readonly handlers: readonly Handler[];
}

/** The loop: for each batch forward, loss, backward, update. Everything else is a handler. */
export async function train(loop: Loop): Promise<'completed' | 'stopped'> {
  const { network, handlers } = loop;
  for (let epoch = loop.firstEpoch; epoch <= loop.epochs; epoch++) {
    for (const handler of handlers) await handler.epochStarted?.(epoch);
    let step = 0;
    let stopped = false;
    let started = performance.now();
    for await (const batch of loop.batches(epoch)) {
      const result = await network.trainStep(splitBatch(batch, loop.partSize), loop.learningRate);
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
