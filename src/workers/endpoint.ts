import { reportOf } from '../errors.ts';
import type { CommandMap, Outcome, WorkerEndpoint } from './protocol.ts';

/** One function a command; keys are the commands that the map names (not its index signature). */
export type Handlers<Commands extends CommandMap> = {
  [Type in keyof Commands as string extends Type ? never : Type]: (
    payload: Commands[Type]['payload'],
  ) => Promise<Commands[Type]['result']> | Commands[Type]['result'];
};

/** Ten batches a second: what a page can draw, and few enough messages that it stays idle in between. */
const BATCH_MS = 100;
/** How late a batch may be: Chromium lets timers wait for seconds while a worker is busy and yields by messages alone. */
const LATE_MS = 50;

export interface Endpoint<Commands extends CommandMap, Event> {
  /** To be handed to `Comlink.expose`. */
  readonly endpoint: WorkerEndpoint<Commands, Event>;
  /** Queues an event: the first after a quiet 100 ms leaves at once, the others together, in order. */
  emit(event: Event): void;
}

/**
 * Turns a map of functions into the endpoint that a worker exposes. A handler that throws answers with an `ErrorReport`.
 * Events emitted before a command ends reach the page before the command's answer. Events that come while nobody
 * listens are dropped: what must survive is in the stored log.
 */
export function createEndpoint<Commands extends CommandMap, Event>(
  handlers: Handlers<Commands>,
): Endpoint<Commands, Event> {
  const listeners = new Set<(events: Event[]) => unknown>();
  let queue: Event[] = [];
  let lastFlush = -Infinity;
  let due = Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let flushed: Promise<void> = Promise.resolve();
  let markFlushed = (): void => undefined;

  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    lastFlush = performance.now();
    const events = queue;
    queue = [];
    for (const listener of listeners) {
      // A page that has gone rejects (Comlink answers with a promise); that must not end the work.
      void Promise.resolve()
        .then(() => listener(events))
        .catch(() => listeners.delete(listener));
    }
    markFlushed();
  };

  const emit = (event: Event): void => {
    if (listeners.size === 0) return;
    if (queue.push(event) > 1) {
      if (performance.now() > due + LATE_MS) flush();
      return;
    }
    flushed = new Promise((resolve) => (markFlushed = resolve));
    due = Math.max(performance.now(), lastFlush + BATCH_MS);
    timer = setTimeout(flush, due - performance.now());
  };

  const byName = handlers as Record<string, ((payload: unknown) => unknown) | undefined>;
  return {
    emit,
    endpoint: {
      dispatch: async (type, payload) => {
        let outcome: Outcome<Commands[typeof type]['result']>;
        try {
          const handler = Object.hasOwn(handlers, type) ? byName[type] : undefined;
          if (handler === undefined) throw new Error(`This worker has no command “${type}”.`);
          outcome = { ok: true, value: await handler(payload) };
        } catch (error) {
          outcome = { ok: false, error: reportOf(error) };
        }
        if (queue.length > 0) await flushed;
        return outcome;
      },
      subscribe: (listener) => {
        listeners.add(listener);
        return Promise.resolve();
      },
    },
  };
}
