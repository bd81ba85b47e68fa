import type { AdapterReport } from '../engine/types.ts';
import type { ErrorReport } from '../errors.ts';
import type { EvaluationReport } from '../evaluation/types.ts';
import type { Split } from '../dataset/types.ts';
import type { EpochRecord, RunEvent, StepTimes, WeightsOrigin } from './events.ts';

export type RunStatus =
  | 'idle'
  | 'preparing'
  | 'training'
  | 'validating'
  | 'testing'
  | 'paused'
  | 'finished'
  | 'failed'
  /** The worker or the tab ended in mid-run: the run can be resumed. */
  | 'lost';

export interface StepPoint {
  readonly epoch: number;
  /** Counted over the whole run, from 1. */
  readonly step: number;
  readonly loss: number;
  readonly accuracy: number;
}

export interface Notice {
  readonly at: number;
  readonly kind: 'info' | 'warning';
  readonly text: string;
}

/** What the log says about a run, now. All figures as in `RunEvent`. */
export interface RunState {
  readonly runId: string | null;
  readonly status: RunStatus;
  readonly config: unknown;
  readonly dataset: Extract<RunEvent, { type: 'runStarted' }>['dataset'] | null;
  readonly parameters: number;
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  readonly adapter: AdapterReport | null;
  readonly weights: { readonly origin: WeightsOrigin; readonly warnings: readonly string[] } | null;
  readonly preparing: {
    readonly what: string;
    readonly done: number;
    readonly total: number | null;
    readonly secondsLeft: number | null;
    readonly waiting: string | null;
  } | null;
  /** The epoch under way (or the last one), and the step in it; 0 before the first. */
  readonly epoch: number;
  readonly step: number;
  /** One point a step, for the curves. */
  readonly steps: readonly StepPoint[];
  /** One row an epoch, for the table and the validation curve. */
  readonly history: readonly EpochRecord[];
  readonly learningRate: number | null;
  readonly secondsPerStep: number | null;
  readonly imagesPerSecond: number | null;
  readonly etaSeconds: number | null;
  /** What an epoch takes, by the run's first steps on this device; null until it can be told. */
  readonly secondsPerEpoch: number | null;
  readonly evaluating: { readonly split: Split; readonly done: number; readonly total: number } | null;
  readonly bestEpoch: number | null;
  readonly latestCheckpoint: number | null;
  /** Images that BatchNorm sees at once; null: the whole batch. */
  readonly batchnormBatch: number | null;
  readonly test: { readonly epoch: number; readonly report: EvaluationReport } | null;
  /** Null: no step was measured, yet; its `times` null: none can be. */
  readonly profile: { readonly step: number; readonly times: StepTimes | null } | null;
  readonly notices: readonly Notice[];
  readonly error: ErrorReport | null;
  readonly reason: 'completed' | 'stopped' | null;
  /** ms since the epoch. */
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}

export const emptyRun: RunState = {
  runId: null,
  status: 'idle',
  config: null,
  dataset: null,
  parameters: 0,
  epochs: 0,
  stepsPerEpoch: 0,
  adapter: null,
  weights: null,
  preparing: null,
  epoch: 0,
  step: 0,
  steps: [],
  history: [],
  learningRate: null,
  secondsPerStep: null,
  imagesPerSecond: null,
  etaSeconds: null,
  secondsPerEpoch: null,
  evaluating: null,
  bestEpoch: null,
  latestCheckpoint: null,
  batchnormBatch: null,
  test: null,
  profile: null,
  notices: [],
  error: null,
  reason: null,
  startedAt: null,
  endedAt: null,
};

type Draft = { -readonly [K in keyof RunState]: RunState[K] } & {
  steps: StepPoint[];
  history: EpochRecord[];
  notices: Notice[];
};

/**
 * State as a fold over the log. `from` is not changed: the arrays are copied once a call, so that folding each batch of live
 * events (ten a second at most) stays cheap for a run of any length.
 */
export function foldRun(events: readonly RunEvent[], from: RunState = emptyRun): RunState {
  const state: Draft = { ...from, steps: [...from.steps], history: [...from.history], notices: [...from.notices] };
  for (const event of events) apply(state, event);
  return state;
}

function apply(state: Draft, event: RunEvent): void {
  const notice = (text: string, kind: Notice['kind'] = 'info') => state.notices.push({ at: event.at, kind, text });
  /** A resumed run finds the same device and the same weights: said once. */
  const once = (text: string, kind: Notice['kind'] = 'info') => {
    if (!state.notices.some((one) => one.text === text)) notice(text, kind);
  };
  switch (event.type) {
    case 'runStarted':
      Object.assign(state, emptyRun, { steps: [], history: [], notices: [], status: 'preparing', startedAt: event.at });
      state.runId = event.runId;
      state.config = event.config;
      state.dataset = event.dataset;
      state.parameters = event.parameters;
      state.epochs = event.epochs;
      state.stepsPerEpoch = event.stepsPerEpoch;
      return;
    case 'forecast':
      state.secondsPerEpoch = event.secondsPerEpoch;
      return;
    case 'deviceReady':
      state.adapter = event.adapter;
      if (event.adapter.notice !== null) once(event.adapter.notice);
      return;
    case 'weightsReady':
      state.weights = { origin: event.origin, warnings: event.warnings };
      for (const warning of event.warnings) once(warning, 'warning');
      return;
    case 'progress':
      state.preparing = {
        what: event.what,
        done: event.done,
        total: event.total,
        secondsLeft: event.secondsLeft ?? null,
        waiting: event.waiting ?? null,
      };
      return;
    case 'epochStarted':
      state.status = 'training';
      state.preparing = null;
      state.epoch = event.epoch;
      state.step = 0;
      return;
    case 'step':
      if (state.status !== 'paused') state.status = 'training';
      state.evaluating = null;
      state.preparing = null;
      state.epoch = event.epoch;
      state.step = event.step;
      state.learningRate = event.learningRate;
      state.secondsPerStep = event.secondsPerStep;
      state.imagesPerSecond = event.imagesPerSecond;
      state.etaSeconds = event.etaSeconds;
      state.steps.push({
        epoch: event.epoch,
        step: (event.epoch - 1) * state.stepsPerEpoch + event.step,
        loss: event.loss,
        accuracy: event.accuracy,
      });
      return;
    case 'stepProfiled':
      state.profile = { step: event.step, times: event.times };
      return;
    case 'evaluating':
      if (state.status !== 'paused') state.status = event.split === 'test' ? 'testing' : 'validating';
      state.evaluating = { split: event.split, done: event.done, total: event.total };
      state.preparing = null;
      return;
    case 'epochEnded':
      state.evaluating = null;
      state.history.push({
        epoch: event.epoch,
        train: event.train,
        validation: event.validation,
        seconds: event.seconds,
        best: event.best,
      });
      if (event.best) state.bestEpoch = event.epoch;
      return;
    case 'checkpointSaved':
      state.latestCheckpoint = event.epoch;
      if (event.best) state.bestEpoch = event.epoch;
      return;
    case 'batchSplit':
      state.batchnormBatch = event.batchnormBatch;
      notice(event.reason);
      return;
    case 'notice':
      once(event.text);
      return;
    case 'paused':
      state.status = 'paused';
      return;
    case 'continued':
      state.status = state.preparing === null ? 'training' : 'preparing';
      return;
    case 'resumed':
      state.status = 'preparing';
      state.error = null;
      state.endedAt = null;
      state.evaluating = null;
      state.epoch = event.fromEpoch;
      state.step = 0;
      // What came after the checkpoint is trained anew.
      state.latestCheckpoint = event.fromEpoch || null;
      state.steps = state.steps.filter((point) => point.epoch <= event.fromEpoch);
      state.history = rowsUpTo(event.fromEpoch, state.history, event.missed ?? []);
      state.bestEpoch = bestUpTo(event.fromEpoch, state);
      notice(
        event.fromEpoch === 0
          ? 'Started again from the first epoch.'
          : `Resumed from the checkpoint of epoch ${event.fromEpoch}.`,
      );
      return;
    case 'deviceLost':
      state.status = 'preparing';
      notice(`The graphics device was lost (${event.reason}). Going on from the last checkpoint.`, 'warning');
      return;
    case 'workerLost':
      state.status = 'lost';
      state.evaluating = null;
      state.endedAt = event.at;
      notice(`The training worker ended: ${event.reason}`, 'warning');
      return;
    case 'testEvaluated':
      state.evaluating = null;
      state.test = { epoch: event.epoch, report: event.report };
      return;
    case 'finished':
      state.status = 'finished';
      state.reason = event.reason;
      state.bestEpoch = event.bestEpoch;
      state.etaSeconds = 0;
      state.evaluating = null;
      state.endedAt = event.at;
      return;
    case 'failed':
      state.status = 'failed';
      state.error = event.error;
      state.evaluating = null;
      state.endedAt = event.at;
      return;
  }
}

/** By epoch; a row of `missed` takes the place of one that is there. */
function rowsUpTo(last: number, history: readonly EpochRecord[], missed: readonly EpochRecord[]): EpochRecord[] {
  const rows = new Map([...history, ...missed].map((row) => [row.epoch, row]));
  return [...rows.values()].filter(({ epoch }) => epoch <= last).sort((a, b) => a.epoch - b.epoch);
}

/** Of an opened checkpoint the best epoch is its own, whatever the rows say. */
function bestUpTo(last: number, { history, bestEpoch }: RunState): number | null {
  const best = history.filter((row) => row.best).map(({ epoch }) => epoch);
  return [...best, bestEpoch ?? 0].filter((epoch) => epoch <= last).reduce((a, b) => Math.max(a, b), 0) || null;
}
