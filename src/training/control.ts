import { turn } from '../turn.ts';

/** What the loop asks between micro-batches, and what commands set. */
export interface Control {
  pause(): void;
  continue(): void;
  stop(): void;
  /**
   * For a process that has to end soon: the run ends at once with the checkpoint of its last whole epoch and is not judged on Test,
   * which stays sealed until it is resumed.
   */
  suspend(): void;
  readonly stopping: boolean;
  readonly suspending: boolean;
  readonly paused: boolean;
  /** Aborted by `stop` and `suspend`: for what waits on the network. */
  readonly signal: AbortSignal;
  /**
   * Gives the event loop a turn, so that commands are heard, and waits while paused. `onPause` and `onContinue` are told
   * when a pause begins and ends; `beforePause` is awaited before it begins.
   */
  gate(beforePause?: () => Promise<void>): Promise<'go' | 'stop'>;
  onPause: () => void;
  onContinue: () => void;
}

export function createControl(): Control {
  let paused = false;
  let stopping = false;
  let suspending = false;
  let wake: (() => void) | null = null;
  const stopped = new AbortController();
  const control: Control = {
    onPause: () => undefined,
    onContinue: () => undefined,
    get stopping() {
      return stopping;
    },
    get suspending() {
      return suspending;
    },
    get paused() {
      return paused;
    },
    signal: stopped.signal,
    pause: () => {
      if (!stopping) paused = true;
    },
    continue: () => {
      paused = false;
      wake?.();
    },
    stop: () => {
      stopping = true;
      paused = false;
      stopped.abort();
      wake?.();
    },
    suspend: () => {
      suspending = true;
      control.stop();
    },
    gate: async (beforePause) => {
      await turn();
      if (paused) await beforePause?.();
      if (paused) {
        control.onPause();
        await new Promise<void>((resolve) => (wake = resolve));
        wake = null;
        if (!stopping) control.onContinue();
      }
      return stopping ? 'stop' : 'go';
    },
  };
  return control;
}
