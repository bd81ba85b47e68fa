/** One trainer a browser: a second tab must not fight for the device, and a tab that holds a lock isn't frozen when hidden. */
export const TRAINER_LOCK = 'pacerid-trainer';

export type LockAnswer<T> =
  | {
      readonly held: true;
      readonly value: T;
      /** False where the browser has no Web Locks (insecure origin). */ readonly locked: boolean;
    }
  | { readonly held: false };

/** Runs `work` while holding the lock; `held: false`, and nothing is run, where another tab has it. */
export async function whileHolding<T>(name: string, work: (locked: boolean) => Promise<T>): Promise<LockAnswer<T>> {
  if (!hasLocks()) return { held: true, value: await work(false), locked: false };
  return navigator.locks.request(name, { ifAvailable: true }, async (lock): Promise<LockAnswer<T>> => {
    if (lock === null) return { held: false };
    return { held: true, value: await work(true), locked: true };
  });
}

/** Whether any tab holds it; false where there are no Web Locks. */
export async function isHeld(name: string): Promise<boolean> {
  if (!hasLocks()) return false;
  const { held } = await navigator.locks.query();
  return (held ?? []).some((lock) => lock.name === name);
}

/** Absent on insecure origins, whatever TypeScript's library says. */
function hasLocks(): boolean {
  return (navigator.locks as LockManager | undefined) !== undefined;
}
