import { CertificateCancelledError } from '../workers/certifyingErrors.ts';
import { onStopSignals } from './signals.ts';
import type { Terminal } from './terminal.ts';

/** What the work may know of the user's wish to stop. */
export interface Stopping {
  /** Aborted by the first SIGINT or SIGTERM, as long as nothing is written. */
  readonly signal: AbortSignal;
  /** To be called before the first byte is written. Throws the reason of `signal` where it is aborted; later signals wait for the end. */
  writing(): void;
}

/** So long, ms, the work may take to end by itself and to take away what it leaves for later; then this process ends without it. */
const GRACE = 1000;

/**
 * Work that makes files and writes them at its end. A first SIGINT or SIGTERM ends it before anything is written, whatever it is at: the exit
 * code is then that of the signal. While files are written, which takes moments, it is brought to its end and says so, so that none is
 * left without what belongs to it. A second signal ends this process at once.
 */
export async function stoppable(out: Terminal, work: (stopping: Stopping) => Promise<number>): Promise<number> {
  const stopping = new AbortController();
  const { signal } = stopping;
  let writes = false;
  const signals = onStopSignals((name) => {
    if (!writes) return stopping.abort(new CertificateCancelledError());
    out.line(`${name}: what is ready is being written, which takes a moment. Once more ends at once.`);
  });
  const overdue = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => void setTimeout(() => reject(signal.reason as Error), GRACE));
  });
  const writing = (): void => {
    signal.throwIfAborted();
    writes = true;
  };
  try {
    return await Promise.race([work({ signal, writing }), overdue]);
  } catch (error) {
    if (signals.exitCode === null || error !== signal.reason) throw error;
    out.line('Stopped; nothing was written.');
    return signals.exitCode;
  } finally {
    out.status('');
    signals.release();
  }
}
