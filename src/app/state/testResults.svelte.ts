import type { RunSummary } from '../../workers/protocol.ts';
import { run } from './run.svelte.ts';
import { ask } from './workers.svelte.ts';

export interface TestResult {
  readonly accuracy: number;
  readonly n: number;
}

/** How the model of each run did on Test, by the run's id; null: not judged. */
let results = $state.raw<Readonly<Record<string, TestResult | null>>>({});
/** The state of each run in which its log was read last. Not reactive: whoever asks must not be asked again by the answer. */
const readAs = new Map<string, string>();
/** One log at a time. */
let reading: Promise<void> = Promise.resolve();

/** Changes whenever a run has learnt something, or has ended. */
export function stateOf({ id, state, latestEpoch, bestEpoch }: RunSummary): string {
  return [id, state, latestEpoch, bestEpoch].join(' ');
}

/** Test results of runs, read from their logs when somebody looks at a list of them. */
export const testResults = {
  /** Null: not judged, or not known yet. */
  of(runId: string): TestResult | null {
    return results[runId] ?? null;
  },
  /** Reads the logs of those that were not read in the state that they are in now. */
  async read(runs: readonly RunSummary[]): Promise<void> {
    for (const one of runs) {
      const now = stateOf(one);
      if (readAs.get(one.id) === now) continue;
      readAs.set(one.id, now);
      reading = reading.then(() => readOne(one));
    }
    await reading;
  },
  /** The run was judged, or has ended: its log says something else now. */
  forget(runId: string): void {
    readAs.delete(runId);
  },
};

async function readOne({ id, bestEpoch, latestEpoch }: RunSummary): Promise<void> {
  const events = await ask('trainer', 'events', { runId: id });
  if (!events) return testResults.forget(id);
  const last = events.findLast((event) => event.type === 'testEvaluated');
  // A run that went on after it was judged may have got a better model, which was not.
  const judged = last?.epoch === (bestEpoch ?? latestEpoch) ? last : undefined;
  results = { ...results, [id]: judged ? { accuracy: judged.report.accuracy, n: judged.report.n } : null };
}

run.onEnded(testResults.forget);
