const OFF_KEY = 'pacerid.singleKeys';

let on = $state(recall() !== 'off');

/** Keys that act by themselves, without Ctrl. Who speaks to the computer, or misses a key now and then, switches them off. */
export const singleKeys = {
  get on(): boolean {
    return on;
  },
  switch(to: boolean): void {
    on = to;
    try {
      localStorage.setItem(OFF_KEY, to ? 'on' : 'off');
    } catch {
      // Storage is blocked: they are on again with the next visit.
    }
  },
};

function recall(): string | null {
  try {
    return localStorage.getItem(OFF_KEY);
  } catch {
    return null;
  }
}
