import type { Emit } from './emit.ts';
import type { RunEvent } from './events.ts';
import type { RunStore } from './types.ts';

/** Epochs may take milliseconds; what is to be told of their checkpoints is stored with all that came before. */
const WITHIN_EPOCHS: ReadonlySet<RunEvent['type']> = new Set(['step', 'epochStarted', 'epochEnded']);

/** The log is stored at least this often, ms: a crash loses no more of the curves. */
const STORE_EVERY = 2000;

export interface RunLog {
  readonly emit: Emit;
  /** Resolves once everything emitted so far is stored; rejects with what storing threw. */
  flush(): Promise<void>;
}

/**
 * Stamps events, hands them on at once, and stores them in order and in bunches. `evaluating` and `progress` are handed on but
 * not stored: they say nothing once they are over.
 */
export function createRunLog(store: RunStore, runId: string, live: (event: RunEvent) => void): RunLog {
  let queue: RunEvent[] = [];
  let lastStored = Date.now();
  let stored: Promise<void> = Promise.resolve();
  const push = (): void => {
    const events = queue;
    queue = [];
    lastStored = Date.now();
    if (events.length > 0) stored = stored.then(() => store.appendEvents(runId, events));
    // Whoever flushes sees the failure; until then it must not count as unhandled.
    stored.catch(() => undefined);
  };
  return {
    emit: (untimed) => {
      const event: RunEvent = { at: Date.now(), ...untimed };
      live(event);
      if (event.type === 'evaluating' || event.type === 'progress') return;
      queue.push(event);
      if (!WITHIN_EPOCHS.has(event.type) || event.at - lastStored > STORE_EVERY) push();
    },
    flush: () => {
      push();
      return stored;
    },
  };
}
