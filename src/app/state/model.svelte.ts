import { emptyRun, foldRun, type RunState } from '../../workers/clients.ts';
import type {
  Config,
  Dataset,
  EvaluationReport,
  ExportedFile,
  ModelEvent,
  Prediction,
  RunSummary,
  Split,
} from '../../workers/protocol.ts';
import { percent } from '../format.ts';
import { announce } from './announce.svelte.ts';
import { datasets } from './datasets.svelte.ts';
import { run } from './run.svelte.ts';
import { provideStep } from './steps.svelte.ts';
import { stateOf, testResults } from './testResults.svelte.ts';
import { ask, onEvents } from './workers.svelte.ts';

/** An answer of Try, with what was asked. */
export interface Tried {
  readonly prediction: Prediction;
  /** Of the file, or where it came from. */
  readonly name: string;
  /** Its class, where it is known. */
  readonly truth: string | null;
}

/** The run whose model Evaluate, Export and Try use; null: the newest with a checkpoint. */
let chosenId = $state<string | null>(null);
let log = $state.raw<RunState>(emptyRun);
/** The state of the run in which the log was read, or is being read. */
let readAs = '';
let reports = $state.raw<Readonly<Partial<Record<Split, EvaluationReport>>>>({});
let tried = $state.raw<Tried | null>(null);
/** What the model worker is doing, and how far it is. */
let working = $state.raw<{ readonly what: string; readonly done: number; readonly total: number } | null>(null);
let listening: (() => void) | undefined;

const usable = $derived(
  run.summaries.filter(
    (one) => (one.bestEpoch ?? one.latestEpoch) !== null && !(run.active && one.id === run.live.runId),
  ),
);
const summary = $derived(usable.find((one) => one.id === chosenId) ?? usable[0] ?? null);
/** The same images imported again, or on another computer, are the same data set under another id. */
const dataset = $derived(
  datasets.list.find((one) => one.id === summary?.dataset.id) ??
    datasets.list.find((one) => one.hash === summary?.dataset.hash) ??
    null,
);

export const model = {
  /** Runs with a checkpoint, newest first. */
  get usable(): readonly RunSummary[] {
    return usable;
  },
  /** The run whose model is used; null where there is none. */
  get summary(): RunSummary | null {
    return summary;
  },
  /** What its log says. */
  get log(): RunState {
    return log;
  },
  /** Its data set; null if it was deleted since. */
  get dataset(): Dataset | null {
    return dataset;
  },
  get test(): EvaluationReport | null {
    return reports.test ?? null;
  },
  get validation(): EvaluationReport | null {
    return reports.val ?? null;
  },
  get tried(): Tried | null {
    return tried;
  },
  get working(): { readonly what: string; readonly done: number; readonly total: number } | null {
    return working;
  },
  choose(runId: string): void {
    chosenId = runId;
  },

  /** Reads the chosen run's log; its Test report is in it. Called by the views that show a model. */
  async read(): Promise<void> {
    if (!summary) return;
    const [id, now, epoch] = [summary.id, stateOf(summary), summary.bestEpoch ?? summary.latestEpoch];
    if (readAs === now) return;
    readAs = now;
    reports = {};
    tried = null;
    log = emptyRun;
    const state = foldRun(await run.log(id));
    if (readAs !== now) return;
    log = { ...state, runId: id };
    if (state.test?.epoch === epoch) reports = { ...reports, test: state.test.report };
  },
  /** A pass over a split with the best checkpoint. */
  async evaluate(split: Split): Promise<void> {
    if (!summary || reports[split]) return;
    const { id } = summary;
    const name = split === 'val' ? 'validation' : split;
    const asked = stateOf(summary);
    const report = await during(`evaluating ${name}`, () => ask('model', 'evaluate', { runId: id, split }));
    if (split === 'test') testResults.forget(id);
    if (report && summary && stateOf(summary) === asked) reports = { ...reports, [split]: report };
  },
  async predict(file: Blob, name: string, truth: string | null): Promise<void> {
    if (!summary) return;
    const { id } = summary;
    const asked = stateOf(summary);
    const answer = await during('looking at the image', () => ask('model', 'predict', { runId: id, file }));
    if (!answer || !summary || stateOf(summary) !== asked) return;
    tried = { prediction: answer, name, truth };
    const first = answer.classes[0];
    if (first) announce(`Most probable: ${first.label}, ${percent(first.probability)}.`);
  },
  /** A page that shows the model to others. */
  demo(output: Config['output']): Promise<ExportedFile | undefined> {
    const id = summary?.id;
    if (id === undefined) return Promise.resolve(undefined);
    return during('writing the demo page', () => ask('model', 'exportDemo', { runId: id, output }));
  },
  /** All that it takes to go on elsewhere. */
  checkpoint(which: 'latest' | 'best'): Promise<ExportedFile | undefined> {
    const id = summary?.id;
    if (id === undefined) return Promise.resolve(undefined);
    return during('writing the checkpoint', () => ask('model', 'checkpointFile', { runId: id, which }));
  },
};

/** Tells what the model worker is doing while it does it. */
export async function during<T>(what: string, work: () => Promise<T>): Promise<T> {
  listening ??= onEvents('model', (events: readonly ModelEvent[]) => {
    const last = events.findLast(({ what }) => what === 'evaluating');
    if (last && working) working = { what: working.what, done: last.done, total: last.total };
  });
  const mine = { what, done: 0, total: 0 };
  working = mine;
  try {
    return await work();
  } finally {
    working = null;
  }
}

/** The newest model is the one that was just trained; where the run had been here before, it is another one now. */
run.onEnded((runId) => {
  chosenId = runId;
  readAs = '';
  void model.read();
});

provideStep('evaluate', () => {
  if (!summary) return { state: 'empty', note: 'needs a trained model' };
  const test = reports.test;
  return test ? { state: 'done', note: `${percent(test.accuracy)} on Test` } : { state: 'ready', note: 'ready' };
});
provideStep('try', () => {
  if (!summary) return { state: 'empty', note: 'needs a trained model' };
  return tried ? { state: 'done', note: 'looked at an image' } : { state: 'ready', note: 'ready' };
});
