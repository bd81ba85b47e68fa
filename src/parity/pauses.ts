/** What a reader or the interpreter calls between two pieces of work; throws where nobody waits for them any more. */
export type Pause = () => Promise<void>;

const TURN_MS = 30;

/** Gives others their turn, at most about every 30 ms: `between`, then the signal's reason where it is aborted. */
export function pauses(between?: Pause, signal?: AbortSignal): Pause {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < TURN_MS) return;
    await between?.();
    signal?.throwIfAborted();
    since = performance.now();
  };
}
