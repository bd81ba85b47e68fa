import type { ErrorReport } from '../../errors.ts';
import { connectWorkers, type WorkerClient, type Workers } from '../../workers/clients.ts';
import type {
  CommandMap,
  DatasetCommands,
  DatasetEvent,
  ModelCommands,
  ModelEvent,
  Outcome,
  TrainerCommands,
  TrainerEvent,
} from '../../workers/protocol.ts';
import { problems } from './problems.svelte.ts';

interface Commands {
  dataset: DatasetCommands;
  trainer: TrainerCommands;
  model: ModelCommands;
}
interface Events {
  dataset: DatasetEvent;
  trainer: TrainerEvent;
  model: ModelEvent;
}
export type WorkerName = keyof Workers;

/** A worker starts with the first question to it, and anew with the first after it ended. */
export const workers: Workers = connectWorkers();

/** Asks a worker; the answer is a value or an `ErrorReport`. Never rejects. */
export async function request<W extends WorkerName, T extends keyof Commands[W] & string>(
  worker: W,
  type: T,
  payload: Payload<W, T>,
): Promise<Outcome<Result<W, T>>> {
  const client = workers[worker] as unknown as WorkerClient<CommandMap, unknown>;
  return (await client.dispatch(type, payload)) as Outcome<Result<W, T>>;
}

/** As `request`, but a failure is shown as a problem panel and answered with undefined. */
export async function ask<W extends WorkerName, T extends keyof Commands[W] & string>(
  worker: W,
  type: T,
  payload: Payload<W, T>,
  options: { quiet?: (error: ErrorReport) => boolean } = {},
): Promise<Result<W, T> | undefined> {
  const outcome = await request(worker, type, payload);
  if (outcome.ok) return outcome.value;
  if (options.quiet?.(outcome.error) !== true) problems.show(outcome.error);
  return undefined;
}

/** Events of a worker, in batches, at most ten times a second. Returns what ends the subscription. */
export function onEvents<W extends WorkerName>(
  worker: W,
  listener: (events: readonly Events[W][]) => void,
): () => void {
  const client = workers[worker] as unknown as WorkerClient<CommandMap, Events[W]>;
  return client.subscribe(listener);
}

type Payload<W extends WorkerName, T extends keyof Commands[W]> = Commands[W][T] extends { payload: infer P }
  ? P
  : never;
type Result<W extends WorkerName, T extends keyof Commands[W]> = Commands[W][T] extends { result: infer R } ? R : never;
