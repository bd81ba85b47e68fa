import * as Comlink from 'comlink';
import type { CommandMap, WorkerEndpoint } from './protocol.ts';

/**
 * A browser tells nobody when a worker ends silently (killed for memory, or closed by itself). So a worker holds a Web Lock for as
 * long as it lives, and the page waits for it: the lock is granted to the page at the moment of the worker's death.
 * Where there are no Web Locks (insecure origin) only loud deaths are heard.
 */
const lockOf = (name: string): string => `pacerid-life-${name}`;

function locks(): LockManager | undefined {
  return (globalThis.navigator as Navigator | undefined)?.locks as LockManager | undefined;
}

/** In a worker: exposes the endpoint; nobody is subscribed before the lifeline is held. */
export function exposeWithLifeline<Commands extends CommandMap, Event>(
  endpoint: WorkerEndpoint<Commands, Event>,
): void {
  const held = new Promise<void>((resolve) => {
    const manager = locks();
    if (manager === undefined || self.name === '') return resolve();
    void manager.request(lockOf(self.name), () => {
      resolve();
      return new Promise<never>(() => undefined);
    });
  });
  Comlink.expose({
    dispatch: endpoint.dispatch,
    subscribe: async (listener) => {
      await held;
      await endpoint.subscribe(listener);
    },
  } satisfies WorkerEndpoint<Commands, Event>);
}

/** In the page: calls `died` once the worker of this name is no more. Returns what ends the watch. */
export function watchLifeline(name: string, died: () => void): () => void {
  const watch = new AbortController();
  locks()
    ?.request(lockOf(name), { signal: watch.signal }, died)
    .catch(() => undefined);
  return () => watch.abort();
}
