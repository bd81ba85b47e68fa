import { recallList, remember } from './remembered.ts';

/** What links brought into this browser: which data set or run came of which file, so that a reload fetches nothing again. */
export interface Brought {
  readonly kind: 'dataset' | 'model';
  readonly url: string;
  readonly bytes: number;
  /** Of the data set, or of the run. */
  readonly id: string;
}

const KEY = 'pacerid.links';
const AT_MOST = 20;

let list = $state.raw<readonly Brought[]>(recallList(KEY, isOne));

export const brought = {
  from(kind: Brought['kind'], url: string): Brought | null {
    return list.find((one) => one.kind === kind && one.url === url) ?? null;
  },
  /** The file that it came of; null where it came by no link. */
  urlOf(kind: Brought['kind'], id: string | undefined): string | null {
    return list.find((one) => one.kind === kind && one.id === id)?.url ?? null;
  },
  keep(one: Brought): void {
    list = [one, ...list.filter(({ kind, url }) => kind !== one.kind || url !== one.url)].slice(0, AT_MOST);
    remember(KEY, JSON.stringify(list));
  },
};

function isOne(value: unknown): value is Brought {
  const { kind, url, bytes, id } = (value ?? {}) as Partial<Record<keyof Brought, unknown>>;
  return (
    (kind === 'dataset' || kind === 'model') &&
    typeof url === 'string' &&
    typeof bytes === 'number' &&
    typeof id === 'string'
  );
}
