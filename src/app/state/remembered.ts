/**
 * Small things that a browser keeps for the next visit, or for this tab alone. Where storage is blocked nothing is kept, and the page
 * does as on a first visit.
 */
type Where = 'browser' | 'tab';

/** Touching it throws where it is blocked. */
const storageOf = (where: Where): Storage => (where === 'tab' ? sessionStorage : localStorage);

export function recall(key: string, where: Where = 'browser'): string | null {
  try {
    return storageOf(where).getItem(key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string, where: Where = 'browser'): void {
  try {
    storageOf(where).setItem(key, value);
  } catch {
    // Blocked, or full.
  }
}

/** A list that was remembered as JSON, without what isn't as `isOne` says. */
export function recallList<T>(key: string, isOne: (value: unknown) => value is T): readonly T[] {
  try {
    const stored: unknown = JSON.parse(recall(key) ?? '[]');
    return Array.isArray(stored) ? stored.filter(isOne) : [];
  } catch {
    return [];
  }
}
