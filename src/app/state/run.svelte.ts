import { emptyRun, foldRun, type RunState } from '../../workers/clients.ts';
import type { ErrorReport, RunEvent, RunSummary, TrainerEvent, TrainingOption } from '../../workers/protocol.ts';
import { count } from '../format.ts';
import { address } from './address.ts';
import { announce } from './announce.svelte.ts';
import { config } from './config.svelte.ts';
import { datasets } from './datasets.svelte.ts';
import { keepAwake } from './keepAwake.svelte.ts';
import { problems } from './problems.svelte.ts';
import { recallList, remember } from './remembered.ts';
import { asWanted, speak } from './speakRun.ts';
import { provideStep } from './steps.svelte.ts';
import { weights } from './weights.svelte.ts';
import { ask, onEvents, request } from './workers.svelte.ts';

/** Failures that the Train view answers in place, with the ways out beside them. */
const answeredInPlace = new Set(['WeightsUnavailableError']);

const KEPT_KEY = 'pacerid.runs.kept';

let summaries = $state.raw<readonly RunSummary[]>([]);
/** The run that is under way in this tab, or that was last. */
let live = $state.raw<RunState>(emptyRun);
/** An older run that is looked at; null: `live`. */
let opened = $state.raw<RunState | null>(null);
/** What the trainer is doing for this tab. */
let busy = $state<'starting' | 'running' | 'estimating' | null>(null);
let stopping = $state(false);
let failure = $state.raw<ErrorReport | null>(null);
let options = $state.raw<readonly TrainingOption[]>([]);
let estimating = $state.raw<Extract<RunEvent, { type: 'progress' }> | null>(null);
let loaded = $state(false);
let measuring: Promise<unknown> = Promise.resolve();
let listening: (() => void) | undefined;
/** Interrupted runs that are to stay as they are; the offer is not made again. */
let kept = $state.raw<readonly string[]>(recallList(KEPT_KEY, (id) => typeof id === 'string'));
/** What runs to do once a run has ended: the model's state takes the new one. */
const ended = new Set<(runId: string) => void>();

const shown = $derived(opened ?? live);
const interrupted = $derived(summaries.find((one) => one.state === 'interrupted' && !kept.includes(one.id)) ?? null);

export const run = {
  /** The run that the Train view shows. */
  get shown(): RunState {
    return shown;
  },
  /** The run under way or last, whatever is looked at. */
  get live(): RunState {
    return live;
  },
  /** Stored on this computer, newest first. */
  get summaries(): readonly RunSummary[] {
    return summaries;
  },
  get loaded(): boolean {
    return loaded;
  },
  /** A run whose tab or worker ended before it did. */
  get interrupted(): RunSummary | null {
    return interrupted;
  },
  get active(): boolean {
    return busy === 'starting' || busy === 'running';
  },
  get stopping(): boolean {
    return stopping;
  },
  /** Why the last start did not come about, where the view answers it itself. */
  get failure(): ErrorReport | null {
    return failure;
  },
  /** Measured ways to train, for the settings that were in effect then. */
  get options(): readonly TrainingOption[] {
    return options;
  },
  /** Null: nothing is measured now. */
  get estimating(): { readonly progress: Extract<RunEvent, { type: 'progress' }> | null } | null {
    return busy === 'estimating' ? { progress: estimating } : null;
  },

  async load(): Promise<void> {
    listen();
    summaries = ((await ask('trainer', 'runs', null)) ?? summaries).toSorted((a, b) => b.createdAt - a.createdAt);
    loaded = true;
    const last = summaries[0];
    if (last && live.runId === null && busy === null) live = settled(await storedLog(last.id), last);
  },

  async start(): Promise<void> {
    const dataset = datasets.current;
    if (!dataset || run.active) return;
    if (busy === 'estimating') await run.cancelEstimate();
    const payload = {
      config: $state.snapshot(config.effective),
      datasetId: dataset.id,
      weightsId: weights.chosen?.id ?? null,
      profile: address.profile,
    };
    await carry(() => request('trainer', 'start', payload));
  },

  async resume(runId: string): Promise<void> {
    if (run.active) return;
    if (busy === 'estimating') await run.cancelEstimate();
    const events = await storedLog(runId);
    if (busy === null) live = foldRun(events);
    await carry(() => request('trainer', 'resume', { runId, profile: address.profile }));
  },

  async pause(): Promise<void> {
    await ask('trainer', 'pause', null);
  },
  async continue(): Promise<void> {
    await ask('trainer', 'continue', null);
  },
  /** What has been learnt is kept and judged. */
  async stop(): Promise<void> {
    stopping = true;
    await ask('trainer', 'stop', null, { quiet: (error) => error.name === 'WorkerLostError' });
  },

  /** `unasked`: the page's own idea; a failure of it is nobody's business. */
  async estimate(unasked = false): Promise<void> {
    const dataset = datasets.current;
    if (!dataset || busy !== null) return;
    listen();
    busy = 'estimating';
    estimating = null;
    options = [];
    const payload = {
      config: $state.snapshot(config.effective),
      datasetId: dataset.id,
      weightsId: weights.chosen?.id ?? null,
    };
    // One that was cancelled may still be at its last step.
    const answer = measuring.then(() => (isMine() ? request('trainer', 'estimate', payload) : null));
    const isMine = (): boolean => busy === 'estimating' && measuring === answer;
    measuring = answer;
    const outcome = await answer;
    if (!isMine()) return;
    busy = null;
    if (outcome?.ok) options = outcome.value;
    else if (outcome && !unasked) problems.show(outcome.error);
  },
  async cancelEstimate(): Promise<void> {
    if (busy !== 'estimating') return;
    busy = null;
    await request('trainer', 'stop', null);
  },
  forgetEstimate(): void {
    options = [];
  },

  /** Shows a stored run in the Train view. */
  async open(runId: string): Promise<void> {
    if (runId === live.runId) opened = null;
    else
      opened = settled(
        await storedLog(runId),
        summaries.find((one) => one.id === runId),
      );
  },
  /** Clears the view for a new run; what was trained stays stored. */
  close(): void {
    opened = null;
    failure = null;
    if (!run.active) live = emptyRun;
  },
  /** Makes no more offer to resume this one; its checkpoint stays and can be used. */
  keepAsItIs(runId: string): void {
    kept = [...kept, runId];
    remember(KEPT_KEY, JSON.stringify(kept));
  },
  async delete(runId: string): Promise<void> {
    await ask('trainer', 'deleteRun', { runId });
    if (opened?.runId === runId) opened = null;
    if (live.runId === runId && !run.active) live = emptyRun;
    summaries = summaries.filter((one) => one.id !== runId);
    announce('The run was deleted from this computer.');
    await run.load();
  },
  forgetFailure(): void {
    failure = null;
  },
  /** The whole log of a run; empty where it cannot be read. */
  log: storedLog,
  /** Calls `then` with the id of each run that ended here. */
  onEnded(then: (runId: string) => void): void {
    ended.add(then);
  },
};

async function storedLog(runId: string): Promise<readonly RunEvent[]> {
  return (await ask('trainer', 'events', { runId })) ?? [];
}

/** A log without an end belongs to a run that was cut off: nothing is under way; its last checkpoint may not have come to be told. */
function settled(events: readonly RunEvent[], summary: RunSummary | undefined): RunState {
  const state = foldRun(events);
  if (summary?.state !== 'interrupted') return state;
  return { ...state, status: 'lost', evaluating: null, etaSeconds: null, latestCheckpoint: summary.latestEpoch };
}

/** From the first command to the run's end: the computer stays awake, the view shows what happens. */
async function carry(command: () => ReturnType<typeof request<'trainer', 'start'>>): Promise<void> {
  listen();
  busy = 'starting';
  opened = null;
  failure = null;
  stopping = false;
  keepAwake(true);
  // The trainer does one thing at a time: it is free once a cancelled measurement has answered.
  await measuring;
  const outcome = await command();
  keepAwake(false);
  busy = null;
  stopping = false;
  await run.load();
  if (outcome.ok) for (const then of ended) then(outcome.value.runId);
  else settle(outcome.error);
}

/** Where a failure is told. One in mid-run is in the log and shown with it. */
function settle(error: ErrorReport): void {
  // A run that never came to its first epoch left nothing behind: back to the set-up, which may hold the way out.
  const stored = summaries.some((one) => one.id === live.runId);
  const told = stored && live.status === 'failed' && live.error?.name === error.name;
  if (!stored || !['failed', 'lost', 'finished'].includes(live.status)) live = emptyRun;
  if (asWanted.has(error.name)) announce(error.message);
  else if (answeredInPlace.has(error.name)) {
    failure = error;
    announce(`${error.message} ${error.remedy}`, 'assertive');
  } else if (!told && error.name !== 'WorkerLostError') problems.show(error);
}

function listen(): void {
  listening ??= onEvents('trainer', onTrainerEvents);
}

function onTrainerEvents(batch: readonly TrainerEvent[]): void {
  const events: RunEvent[] = [];
  for (const { event } of batch) {
    if (busy === 'estimating') {
      if (event.type === 'progress') estimating = event;
      continue;
    }
    events.push(event);
    if (event.type === 'runStarted' || event.type === 'resumed') busy = 'running';
    speak(event);
  }
  if (events.length > 0) live = foldRun(events, live);
}

/** 0–1 over the whole run, or, as long as it lasts, of the pass that computes features; null before the first step. */
export function runProgress(state: RunState): number | null {
  const { preparing } = state;
  if (preparing?.what === 'features' && preparing.total) return preparing.done / preparing.total;
  const total = state.epochs * state.stepsPerEpoch;
  if (total === 0) return null;
  const done = Math.max(0, state.epoch - 1) * state.stepsPerEpoch + state.step;
  return Math.min(1, done / total);
}

provideStep('train', () => {
  if (run.active) {
    const computing = live.preparing?.what === 'features';
    if (live.epoch === 0 && !computing) return { state: 'working', progress: null, note: 'starting' };
    const doing = live.status === 'paused' ? 'paused, ' : live.status === 'testing' ? 'testing, ' : '';
    const where = computing ? 'features' : `epoch ${live.epoch} of ${live.epochs}`;
    return { state: 'working', progress: runProgress(live), note: `${doing}${where}` };
  }
  if (live.status === 'failed') return { state: 'failed', note: 'training failed' };
  if (interrupted) return { state: 'failed', note: 'interrupted' };
  if (live.status === 'finished') return { state: 'done', note: count(live.history.length, 'epoch') };
  if (!datasets.current) return { state: 'empty', note: 'needs a data set' };
  return { state: 'ready', note: 'ready' };
});
