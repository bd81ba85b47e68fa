import * as Comlink from 'comlink';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { trainerClient, workerClient, type WorkerLike } from '../../../src/workers/clients.ts';
import { createEndpoint, type Endpoint, type Handlers } from '../../../src/workers/endpoint.ts';
import type { TrainerCommands, TrainerEvent } from '../../../src/workers/protocol.ts';

type Commands = Pick<TrainerCommands, 'start' | 'stop'> & Record<string, { payload: unknown; result: unknown }>;

/** A worker on a message channel: its far side is a real endpoint, or nobody. */
function double(endpoint: Endpoint<Commands, TrainerEvent> | null) {
  const { port1, port2 } = new MessageChannel();
  if (endpoint !== null) Comlink.expose(endpoint.endpoint, port2 as unknown as Comlink.Endpoint);
  port1.start();
  const own = new EventTarget();
  const terminate = vi.fn(() => {
    port1.close();
    port2.close();
  });
  const isOwn = (type: string): boolean => type === 'error' || type === 'messageerror';
  const worker: WorkerLike = {
    postMessage: ((message: unknown, transfer: Transferable[]) =>
      port1.postMessage(message, transfer)) as WorkerLike['postMessage'],
    addEventListener: ((type: string, listener: EventListener) =>
      (isOwn(type) ? own : port1).addEventListener(type, listener)) as WorkerLike['addEventListener'],
    removeEventListener: ((type: string, listener: EventListener) =>
      (isOwn(type) ? own : port1).removeEventListener(type, listener)) as WorkerLike['removeEventListener'],
    terminate,
  };
  return { worker, terminate, crash: () => own.dispatchEvent(new Event('error')) };
}

const handlers = (more: Partial<Handlers<Commands>> = {}): Handlers<Commands> =>
  ({ start: () => ({ runId: 'r' }), stop: () => null, ...more }) as Handlers<Commands>;
const settings = { config: {} as never, datasetId: 'd', weightsId: null };

afterEach(() => vi.useRealTimers());

describe('a worker’s client', () => {
  it('makes no worker before the first command, and one for all of them', async () => {
    const create = vi.fn(() => double(createEndpoint<Commands, TrainerEvent>(handlers())).worker);
    const client = workerClient<Commands, TrainerEvent>('trainer', create);
    expect(create).not.toHaveBeenCalled();
    await client.dispatch('stop', null);
    expect(await client.dispatch('start', settings)).toEqual({ ok: true, value: { runId: 'r' } });
    expect(create).toHaveBeenCalledOnce();
  });

  it('answers with a named error when the worker dies, and starts a fresh one for the next command', async () => {
    const doubles = [
      double(createEndpoint<Commands, TrainerEvent>(handlers({ start: () => new Promise(() => undefined) }))),
      double(createEndpoint<Commands, TrainerEvent>(handlers())),
    ];
    let made = 0;
    const client = workerClient<Commands, TrainerEvent>('trainer', () => doubles[made++]!.worker);
    const hanging = client.dispatch('start', settings);
    await new Promise((resolve) => setTimeout(resolve, 20));
    doubles[0]!.crash();
    expect(await hanging).toMatchObject({ ok: false, error: { name: 'WorkerLostError' } });
    expect(await client.dispatch('start', settings)).toMatchObject({ ok: true });
    expect(made).toBe(2);
  });
});

describe('the trainer’s client', () => {
  it('ends a worker that doesn’t hear “stop” for two seconds, and says so for the run under way', async () => {
    const started: TrainerEvent = { runId: 'r', event: { at: 1, type: 'resumed', fromEpoch: 1 } };
    const deaf: Endpoint<Commands, TrainerEvent> = createEndpoint(
      handlers({
        start: () => {
          deaf.emit(started);
          return new Promise(() => undefined);
        },
        stop: () => new Promise(() => undefined),
      }),
    );
    const { worker, terminate } = double(deaf);
    const client = trainerClient(() => worker);
    const seen: TrainerEvent[] = [];
    client.subscribe((events) => seen.push(...events));
    const running = client.dispatch('start', settings);
    await vi.waitFor(() => expect(seen).toHaveLength(1), { timeout: 30_000 });
    const before = performance.now();
    expect(await client.dispatch('stop', null)).toMatchObject({ ok: false, error: { name: 'WorkerLostError' } });
    expect(performance.now() - before).toBeGreaterThan(1900);
    expect(terminate).toHaveBeenCalledOnce();
    expect(seen.at(-1)).toMatchObject({ runId: 'r', event: { type: 'workerLost' } });
    expect(await running).toMatchObject({ ok: false, error: { name: 'WorkerLostError' } });
  });

  it('leaves a worker alone that answers', async () => {
    const { worker, terminate } = double(createEndpoint<Commands, TrainerEvent>(handlers()));
    const client = trainerClient(() => worker);
    expect(await client.dispatch('stop', null)).toEqual({ ok: true, value: null });
    await new Promise((resolve) => setTimeout(resolve, 2100));
    expect(terminate).not.toHaveBeenCalled();
  });
});
