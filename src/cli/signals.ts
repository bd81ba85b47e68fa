export type StopSignal = 'SIGINT' | 'SIGTERM';

/** Exit codes as a shell gives them to a process that a signal ended. */
const codes: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 };

/**
 * A terminal sends Ctrl-C to npm and to this process, and npm hands its own on as well: what comes again so soon, ms, is the same
 * wish.
 */
const SAME_WISH = 700;

/**
 * `npm run` puts a shell between itself and this process. SIGTERM to npm ends that shell, which hands nothing on: that it is gone
 * is then the only sign. Looked for this often, ms.
 */
const PARENT_GONE = 500;

export interface Signals {
  /** The exit code of the signal that came first; null: none has come. */
  readonly exitCode: number | null;
  release(): void;
}

/** The first SIGINT or SIGTERM asks for a stop; the next one ends this process at once. */
export function onStopSignals(first: (signal: StopSignal) => void): Signals {
  let received: { readonly signal: StopSignal; readonly at: number } | null = null;
  const hear = (signal: StopSignal) => (): void => {
    if (received === null) {
      received = { signal, at: performance.now() };
      first(signal);
    } else if (performance.now() - received.at > SAME_WISH) {
      process.exit(codes[signal]);
    }
  };
  const handlers = { SIGINT: hear('SIGINT'), SIGTERM: hear('SIGTERM') };
  for (const [signal, handler] of Object.entries(handlers)) process.on(signal, handler);
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.env.npm_lifecycle_event === undefined || process.ppid === parent) return;
    clearInterval(watch);
    if (received === null) handlers.SIGTERM();
  }, PARENT_GONE).unref();
  return {
    get exitCode() {
      return received === null ? null : codes[received.signal];
    },
    release: () => {
      clearInterval(watch);
      for (const [signal, handler] of Object.entries(handlers)) process.off(signal, handler);
    },
  };
}
