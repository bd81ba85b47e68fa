import type { ConfigTree } from '../../config/tree.ts';
import type { NamedFile } from '../../workers/protocol.ts';

/** What was dropped and can be meant in two ways: it waits, whatever else is done meanwhile, until the user has said which. */
export type Arrival = { readonly id: number; readonly name: string } & (
  | { readonly kind: 'images'; readonly files: readonly NamedFile[]; readonly source: 'zip' | 'folder' }
  | { readonly kind: 'checkpoint'; readonly file: File; readonly settings: ConfigTree }
);
type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

let nextId = 1;
let list = $state.raw<readonly Arrival[]>([]);

export const arrivals = {
  /** Oldest first. */
  get list(): readonly Arrival[] {
    return list;
  },
  wait(arrival: WithoutId<Arrival>): void {
    list = [...list, { ...arrival, id: nextId++ }];
  },
  settle(id: number): void {
    list = list.filter((one) => one.id !== id);
  },
};
