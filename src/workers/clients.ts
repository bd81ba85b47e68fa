import * as Comlink from 'comlink';
import { UserError, reportOf } from '../errors.ts';
import { watchLifeline } from './lifeline.ts';
import type {
  CommandMap,
  DatasetCommands,
  DatasetEvent,
  ModelCommands,
  ModelEvent,
  Outcome,
  TrainerCommands,
  TrainerEvent,
  WorkerEndpoint,
} from './protocol.ts';

export * from './protocol.ts';
export { balancedWeights } from '../training/balancedWeights.ts';
export { deviceInWords, speedInWords } from '../engine/fasterDevice.ts';
export { CertificateCancelledError } from './certifyingErrors.ts';
export { makersOf } from '../export/makers.ts';
export { precisionOf } from '../export/precision.ts';
export { cropOption as visionOption, swiftClass } from '../export/vision.ts';
export { emptyRun, foldRun } from '../training/runState.ts';
export type { Notice, RunState, RunStatus, StepPoint } from '../training/runState.ts';
export type { EpochRecord } from '../training/events.ts';
export type { EpochMetrics, RunEvent, StepTimes, TrainingOption, WeightsOrigin } from '../training/events.ts';
export type { ClassMetrics, EvaluationReport } from '../evaluation/types.ts';
export type { Dataset, ImageEntry, RgbImage, SkippedFile, Split } from '../dataset/types.ts';
export type { AdapterReport } from '../engine/types.ts';
export type { ErrorReport } from '../errors.ts';

/** How long a `stop` may go unheard before the trainer's worker is ended, ms. */
const STOP_UNHEARD_MS = 2000;

export class WorkerLostError extends UserError {
  constructor(which: string, reason: string) {
    super(`The ${which} worker ended: ${reason}`, {
      kept: 'Data sets, and runs up to their last finished epoch, are still on this computer.',
      remedy:
        which === 'trainer' ? 'Resume the run, or start a new one.' : 'Try again; a new worker is started for it.',
    });
  }
}

/** A worker as the page sees it. The worker is made with the first command, and anew with the first after it ended. */
export interface WorkerClient<Commands extends CommandMap, Event> {
  /** Never rejects: a worker that dies answers with `WorkerLostError`. */
  dispatch<T extends keyof Commands & string>(
    type: T,
    payload: Commands[T]['payload'],
  ): Promise<Outcome<Commands[T]['result']>>;
  /** Returns what ends the subscription. */
  subscribe(listener: (events: readonly Event[]) => void): () => void;
  /** Ends the worker, as a crash would; what it had under way answers with `WorkerLostError`. */
  terminate(reason: string): void;
}

export interface Workers {
  readonly dataset: WorkerClient<DatasetCommands, DatasetEvent>;
  readonly trainer: WorkerClient<TrainerCommands, TrainerEvent>;
  readonly model: WorkerClient<ModelCommands, ModelEvent>;
}

/** What a worker needs to be watched; `Worker` fulfils it, and so does a test's double. */
export type WorkerLike = Pick<Worker, 'postMessage' | 'addEventListener' | 'removeEventListener' | 'terminate'>;

interface Connection<Commands extends CommandMap, Event> {
  readonly remote: Comlink.Remote<WorkerEndpoint<Commands, Event>>;
  readonly subscribed: Promise<void>;
  /** Resolves once the worker is gone. */
  readonly gone: Promise<Outcome<never>>;
  end(reason: string): void;
}

/** Makes a worker that calls itself by `name`, which is unique in this browser. */
export type CreateWorker = (name: string) => WorkerLike;

/** One client over workers that `create` makes. `onLost` is called when one ends of itself or is ended. */
export function workerClient<Commands extends CommandMap, Event>(
  which: string,
  create: CreateWorker,
  onLost: (reason: string) => readonly Event[] = () => [],
  onEvents: (events: readonly Event[]) => void = () => undefined,
): WorkerClient<Commands, Event> {
  const listeners = new Set<(events: readonly Event[]) => void>();
  let connection: Connection<Commands, Event> | null = null;

  const tell = (events: readonly Event[]): void => {
    if (events.length === 0) return;
    onEvents(events);
    for (const listener of listeners) listener(events);
  };

  const connect = (): Connection<Commands, Event> => {
    const name = `${which}-${crypto.getRandomValues(new Uint32Array(2)).join('-')}`;
    const worker = create(name);
    let unwatch = (): void => undefined;
    const remote = Comlink.wrap<WorkerEndpoint<Commands, Event>>(worker as unknown as Comlink.Endpoint);
    let markGone: (outcome: Outcome<never>) => void = () => undefined;
    const gone = new Promise<Outcome<never>>((resolve) => (markGone = resolve));
    let alive = true;
    const end = (reason: string): void => {
      if (!alive) return;
      alive = false;
      unwatch();
      worker.terminate();
      if (connection === made) connection = null;
      tell(onLost(reason));
      markGone({ ok: false, error: reportOf(new WorkerLostError(which, reason)) });
    };
    worker.addEventListener('error', (event) => {
      const message = (event as ErrorEvent).message;
      end(message ? message : 'it could not be loaded or ran out of memory.');
    });
    worker.addEventListener('messageerror', () => end('a message could not be read.'));
    const listen = Comlink.proxy((events: Event[]) => {
      if (alive) tell(events);
    });
    // Comlink's types wrap arguments; a proxied callback arrives as the function that the endpoint expects.
    const subscribed = (remote.subscribe as unknown as WorkerEndpoint<Commands, Event>['subscribe'])(listen);
    subscribed.then(
      () => {
        if (alive) unwatch = watchLifeline(name, () => end('it was closed, perhaps for want of memory.'));
      },
      (error: unknown) => end(String(error)),
    );
    const made: Connection<Commands, Event> = { remote, subscribed, gone, end };
    return made;
  };

  return {
    dispatch: async (type, payload) => {
      const current = (connection ??= connect());
      const answer = (async (): Promise<Outcome<Commands[typeof type]['result']>> => {
        try {
          await current.subscribed;
          const dispatch = current.remote.dispatch as unknown as WorkerEndpoint<Commands, Event>['dispatch'];
          return await dispatch(type, payload);
        } catch (error) {
          return { ok: false, error: reportOf(error) };
        }
      })();
      return Promise.race([answer, current.gone]);
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    terminate: (reason) => connection?.end(reason),
  };
}

/**
 * The trainer's client: a `stop` that the worker doesn't hear within two seconds ends the worker. Whoever listens gets
 * `workerLost` for the run that was under way, so that the page's state is never left at "training".
 */
export function trainerClient(create: CreateWorker): WorkerClient<TrainerCommands, TrainerEvent> {
  let running: string | null = null;
  const client = workerClient<TrainerCommands, TrainerEvent>(
    'trainer',
    create,
    (reason) => {
      if (running === null) return [];
      const lost: TrainerEvent = { runId: running, event: { at: Date.now(), type: 'workerLost', reason } };
      running = null;
      return [lost];
    },
    (events) => {
      for (const { runId, event } of events) {
        if (event.type === 'runStarted' || event.type === 'resumed') running = runId;
        if (event.type === 'finished' || event.type === 'failed') running = null;
      }
    },
  );
  return {
    ...client,
    dispatch: async (type, payload) => {
      if (type !== 'stop') return client.dispatch(type, payload);
      const timer = setTimeout(
        () => client.terminate('it did not answer “stop” for two seconds and was ended.'),
        STOP_UNHEARD_MS,
      );
      const outcome = await client.dispatch(type, payload);
      clearTimeout(timer);
      return outcome;
    },
  };
}

/** Typed clients of the three workers. Nothing is loaded before a worker's first command. */
export function connectWorkers(): Workers {
  return {
    dataset: workerClient(
      'dataset',
      (name) => new Worker(new URL('./dataset.worker.ts', import.meta.url), { type: 'module', name }),
    ),
    trainer: trainerClient(
      (name) => new Worker(new URL('./trainer.worker.ts', import.meta.url), { type: 'module', name }),
    ),
    model: workerClient(
      'model',
      (name) => new Worker(new URL('./model.worker.ts', import.meta.url), { type: 'module', name }),
    ),
  };
}
