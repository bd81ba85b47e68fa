import { turn } from '../../turn.ts';
import type { Host } from './host.ts';

/** Where work on the processor has held the thread for this long, ms, the event loop gets a turn: commands are heard. */
const BREATH = 200;

/** Whose turn it is on a host. */
export interface Turns {
  /** One call at a time: a step reads logits back in its middle, and nothing may change the weights meanwhile. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  /** Awaited after each node. */
  afterNode(): Promise<void>;
  /** Refuses what comes later, and frees when all that came before is done. */
  dispose(free: () => void): void;
}

export function createTurns(host: Host): Turns {
  let disposed = false;
  let queue: Promise<unknown> = Promise.resolve();
  let breathed = performance.now();
  return {
    inTurn(work) {
      const run = queue.then(() => {
        if (disposed) throw new Error('The network has been disposed of.');
        return host.guard(work);
      });
      queue = run.catch(() => {});
      return run;
    },
    async afterNode() {
      host.observe();
      if (performance.now() - breathed < BREATH) return;
      await turn();
      breathed = performance.now();
      host.enter();
    },
    dispose(free) {
      if (disposed) return;
      disposed = true;
      queue = queue.then(free);
    },
  };
}
