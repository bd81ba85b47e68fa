import { describe, expect, it } from 'vitest';
import { runCurves } from '../../../src/app/views/train/runCurves.ts';
import { foldRun } from '../../../src/training/runState.ts';
import type { RunEvent } from '../../../src/workers/protocol.ts';

const metrics = (loss: number) => ({ n: 8, loss, accuracy: 1 - loss / 4, precision: 0.5 });
const step = (epoch: number, n: number, loss: number): RunEvent => ({
  at: 0,
  type: 'step',
  epoch,
  step: n,
  loss,
  accuracy: 0.5,
  learningRate: 0.001,
  secondsPerStep: 0.1,
  imagesPerSecond: 80,
  etaSeconds: null,
});
const started = {
  at: 0,
  type: 'runStarted',
  runId: 'r',
  config: {},
  dataset: null,
  parameters: 1,
  epochs: 3,
  stepsPerEpoch: 2,
} as unknown as RunEvent;

describe('curves of a run', () => {
  const run = foldRun([
    started,
    { at: 0, type: 'epochStarted', epoch: 1 },
    step(1, 1, 2),
    step(1, 2, 1),
    { at: 0, type: 'epochEnded', epoch: 1, train: metrics(1.5), validation: metrics(1.2), seconds: 1, best: true },
    { at: 0, type: 'epochStarted', epoch: 2 },
    step(2, 1, 0.8),
  ]);
  const curves = runCurves(run);

  it('stand on one axis of epochs, steps between their ends', () => {
    expect(curves.x).toEqual([0.5, 1, 1.5]);
    expect(curves.loss[0]?.values).toEqual([2, 1, 0.8]);
  });

  it('show the epoch’s own figure at its end, and the mean of the steps so far where it is not over', () => {
    expect(curves.loss[1]?.values).toEqual([null, 1.5, 0.8]);
    expect(curves.loss[2]?.values).toEqual([null, 1.2, null]);
    expect(curves.accuracy[1]?.values).toEqual([null, 0.625, 0.5]);
  });
});

it('a run of many steps is drawn with few points, and the average of each stretch', () => {
  const events: RunEvent[] = [{ ...started, stepsPerEpoch: 5000, epochs: 1 } as RunEvent];
  for (let n = 1; n <= 5000; n++) events.push(step(1, n, n % 2));
  const { x, loss } = runCurves(foldRun(events));
  expect(x.length).toBe(1000);
  expect(x.at(-1)).toBe(1);
  expect(loss[0]?.values[0]).toBe(0.6);
});
