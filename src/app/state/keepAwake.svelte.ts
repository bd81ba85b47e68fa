import { SvelteSet } from 'svelte/reactivity';

/**
 * Keeps the screen on and asks before closing while something must not be cut off. Call `keepAwake(true)` when training
 * starts and `keepAwake(false)` when it ends; several reasons may hold it at once.
 */
const reasons = new SvelteSet<string>();
let lock: WakeLockSentinel | undefined;

async function acquire(): Promise<void> {
  if (reasons.size === 0 || lock !== undefined || document.visibilityState !== 'visible') return;
  try {
    // Absent on insecure origins and refused on low battery: training goes on without.
    const sentinel = await navigator.wakeLock?.request('screen');
    if (sentinel === undefined) return;
    if (reasons.size === 0) return void sentinel.release();
    lock = sentinel;
    // The browser takes it back whenever the page is hidden.
    sentinel.addEventListener('release', () => (lock = undefined));
  } catch {
    lock = undefined;
  }
}

const onVisible = (): void => void acquire();
const onBeforeUnload = (event: BeforeUnloadEvent): void => event.preventDefault();

/** Something is under way that must not be cut off. */
export const isAwake = (): boolean => reasons.size > 0;

export function keepAwake(on: boolean, reason = 'training'): void {
  if (on === reasons.has(reason)) return;
  if (on) {
    reasons.add(reason);
    if (reasons.size > 1) return;
    addEventListener('beforeunload', onBeforeUnload);
    document.addEventListener('visibilitychange', onVisible);
    void acquire();
  } else {
    reasons.delete(reason);
    if (reasons.size > 0) return;
    removeEventListener('beforeunload', onBeforeUnload);
    document.removeEventListener('visibilitychange', onVisible);
    void lock?.release();
    lock = undefined;
  }
}
