import type { UserError } from '../errors.ts';
import type { Handlers } from './endpoint.ts';
import type { ModelCommands, WorkId } from './protocol.ts';

/** Works that whoever asked for them can call off, each by the name that it was given. */
export interface CancellableWorks extends Pick<Handlers<ModelCommands>, 'cancel'> {
  /**
   * Throws `reason()` as soon as the work is called off, wherever it waits or is. It hears of that by its signal, and nobody hears what
   * becomes of it: it must not do anything that stays. Without a name nobody can call it off.
   */
  cancellable<T>(
    workId: WorkId | undefined,
    reason: () => UserError,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T>;
}

export function cancellableWorks(): CancellableWorks {
  const underWay = new Map<WorkId, () => void>();
  return {
    cancellable: async (workId, reason, work) => {
      const controller = new AbortController();
      const { signal } = controller;
      if (workId !== undefined) underWay.set(workId, () => controller.abort(reason()));
      try {
        return await unlessAborted(signal, work(signal));
      } finally {
        if (workId !== undefined) underWay.delete(workId);
      }
    },
    cancel: ({ workId }) => {
      underWay.get(workId)?.();
      return null;
    },
  };
}

/** What comes of `work`, or the signal's reason as soon as it is aborted from now on: nobody hears then what becomes of the work. */
export function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
  return Promise.race([work, aborted]);
}
