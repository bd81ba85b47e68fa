import { describe, expect, it } from 'vitest';
import { emptyRun, foldRun } from '../../../src/training/runState.ts';
import type { RunEvent } from '../../../src/training/events.ts';

const started: RunEvent = {
  at: 1,
  type: 'runStarted',
  runId: 'r',
  config: {},
  dataset: {
    id: 'd',
    name: 'd',
    hash: 'h',
    synthetic: true,
    classes: ['a', 'b'],
    counts: { train: 20, val: 4, test: 4 },
  },
  parameters: 10,
  epochs: 3,
  stepsPerEpoch: 2,
};
const step = (epoch: number, n: number, loss: number): RunEvent => ({
  at: 2,
  type: 'step',
  epoch,
  step: n,
  loss,
  accuracy: 0.5,
  learningRate: 0.1,
  secondsPerStep: 1,
  imagesPerSecond: 10,
  etaSeconds: 5,
});
const epoch = (n: number, best: boolean): RunEvent => {
  const figures = { n: 20, loss: 1 / n, accuracy: 0.5, precision: 0.5 };
  return { at: 3, type: 'epochEnded', epoch: n, train: figures, validation: figures, seconds: 2, best };
};
const saved = (n: number, best: boolean): RunEvent => ({ at: 4, type: 'checkpointSaved', epoch: n, best, bytes: 8 });

describe('folding a log', () => {
  const two = [started, step(1, 1, 2), step(1, 2, 1.5), epoch(1, true), saved(1, true), step(2, 1, 1)];

  it('counts steps over the whole run and keeps the rows of the epoch table', () => {
    const state = foldRun(two);
    expect(state.steps.map((point) => point.step)).toEqual([1, 2, 3]);
    expect(state.history.map((row) => row.epoch)).toEqual([1]);
    expect([state.status, state.epoch, state.step, state.bestEpoch]).toEqual(['training', 2, 1, 1]);
  });

  it('gives the same state at once and in bunches, and leaves what it was given alone', () => {
    const first = foldRun(two.slice(0, 3));
    const frozen = structuredClone(first);
    expect(foldRun(two.slice(3), first)).toEqual(foldRun(two));
    expect(first).toEqual(frozen);
  });

  it('keeps what a measured step has said, of the newest one', () => {
    expect(foldRun(two).profile).toBeNull();
    const sum = { name: 'conv', dispatches: 3, milliseconds: 4, flops: 5, bytes: 6 };
    const times = { milliseconds: 9, kernels: [sum], layers: [sum] };
    const cannot: RunEvent = { at: 4, type: 'stepProfiled', step: 1, times: null };
    const measured: RunEvent = { at: 5, type: 'stepProfiled', step: 3, times };
    expect(foldRun([...two, cannot]).profile).toEqual({ step: 1, times: null });
    expect(foldRun([...two, cannot, measured]).profile).toEqual({ step: 3, times });
  });

  it('shows kernels that are compiled in mid-run until a step or an image of validation is through', () => {
    const kernels: RunEvent = { at: 5, type: 'progress', what: 'kernels', done: 3, total: 9 };
    const waiting = foldRun([...two, kernels]);
    expect(waiting.preparing).toMatchObject({ what: 'kernels', done: 3, total: 9 });
    expect(waiting.status).toBe('training');
    expect(foldRun([step(2, 2, 1)], waiting).preparing).toBeNull();
    expect(foldRun([{ at: 6, type: 'evaluating', split: 'val', done: 1, total: 4 }], waiting).preparing).toBeNull();
  });

  it('drops the steps of an epoch that is trained again after a resume', () => {
    const state = foldRun([...two, { at: 5, type: 'resumed', fromEpoch: 1 }, step(2, 1, 0.9)]);
    expect(state.steps.map((point) => [point.step, point.loss])).toEqual([
      [1, 2],
      [2, 1.5],
      [3, 0.9],
    ]);
  });

  it('knows after a resume what its checkpoint knew: nothing of later epochs, all of those that the log had lost', () => {
    const fourth = [epoch(3, false), epoch(4, true), saved(4, true)];
    const superseded = foldRun([
      ...two,
      epoch(2, true),
      saved(2, true),
      ...fourth,
      { at: 5, type: 'resumed', fromEpoch: 3 },
    ]);
    expect([superseded.bestEpoch, superseded.latestCheckpoint]).toEqual([2, 3]);
    expect(superseded.history.map((row) => row.epoch)).toEqual([1, 2, 3]);

    const { at: _, type: __, ...row } = epoch(2, true) as Extract<RunEvent, { type: 'epochEnded' }>;
    const healed = foldRun([
      ...two,
      epoch(3, false),
      { at: 5, type: 'resumed', fromEpoch: 3, missed: [row] },
      epoch(4, false),
    ]);
    expect(healed.history.map((one) => one.epoch)).toEqual([1, 2, 3, 4]);
    expect(healed.history[1]).toEqual(row);
    expect([healed.bestEpoch, healed.latestCheckpoint]).toEqual([2, 3]);

    // Of a checkpoint that was opened from a file, the best is its own epoch, whatever its rows say.
    const opened = foldRun([
      started,
      epoch(1, true),
      epoch(2, false),
      saved(2, true),
      { at: 5, type: 'resumed', fromEpoch: 2 },
    ]);
    expect(opened.bestEpoch).toBe(2);
    expect(foldRun([...two, { at: 5, type: 'resumed', fromEpoch: 0 }])).toMatchObject({
      history: [],
      steps: [],
      bestEpoch: null,
      latestCheckpoint: null,
    });
  });

  it('shows a dead worker as lost, and the resumed run as under way again', () => {
    const lost = foldRun([...two, { at: 6, type: 'workerLost', reason: 'out of memory' }]);
    expect(lost.status).toBe('lost');
    expect(lost.notices.at(-1)?.text).toContain('out of memory');
    expect(foldRun([{ at: 7, type: 'resumed', fromEpoch: 1 }, step(2, 1, 1)], lost).status).toBe('training');
  });

  it('stays paused through the step that was under way', () => {
    expect(foldRun([...two, { at: 5, type: 'paused' }, step(2, 2, 1)]).status).toBe('paused');
  });

  it('keeps the named error of a failed run', () => {
    const error = { name: 'NotANumberError', message: 'm', kept: 'k', remedy: 'r' };
    expect(foldRun([...two, { at: 9, type: 'failed', error }])).toMatchObject({ status: 'failed', error, endedAt: 9 });
  });

  it('starts from nothing with a new run', () => {
    expect(foldRun([started], foldRun(two))).toEqual({ ...foldRun([started]), startedAt: 1 });
    expect(foldRun([])).toEqual(emptyRun);
  });
});
