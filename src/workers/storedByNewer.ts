import type { ErrorReport } from '../errors.ts';
import { reportOf } from '../errors.ts';
import { StoredByNewerError } from '../platform/records.ts';
import type { Registry } from '../registry/registry.ts';

interface Newer {
  /** How many a newer page stored. */
  newer(): Promise<number>;
}

/** Whatever a newer page has stored on this computer, said in one sentence; null where there is nothing. */
export async function storedByNewer(stores: {
  readonly datasets: Newer;
  readonly runs: Newer;
  readonly weights: Newer;
  readonly versions: Pick<Registry, 'newer'>;
}): Promise<ErrorReport | null> {
  const kinds = [
    [await stores.datasets.newer(), 'data set', 'data sets'],
    [await stores.runs.newer(), 'run', 'runs'],
    [(await stores.versions.newer()).length, 'version', 'versions'],
    [await stores.weights.newer(), 'weights file', 'weights files'],
  ] as const;
  const found = kinds.filter(([n]) => n > 0);
  const total = found.reduce((sum, [n]) => sum + n, 0);
  if (total === 0) return null;
  const parts = found.map(([n, one, many]) => `${n} ${n === 1 ? one : many}`);
  const last = parts.pop() ?? '';
  const what = parts.length > 0 ? `${parts.join(', ')} and ${last}` : last;
  return reportOf(new StoredByNewerError(`${what} on this computer`, total === 1));
}
