import { problems } from './problems.svelte.ts';
import { ask } from './workers.svelte.ts';

/** Room on this computer: what this page takes, what the browser grants, and whether it may be cleared without asking. */
interface StorageState {
  readonly usedBytes: number | null;
  readonly quotaBytes: number | null;
  readonly persisted: boolean | null;
}

let state = $state.raw<StorageState>({ usedBytes: null, quotaBytes: null, persisted: null });

export const storage = {
  get usedBytes(): number | null {
    return state.usedBytes;
  },
  get quotaBytes(): number | null {
    return state.quotaBytes;
  },
  /** True: the browser keeps it until the user deletes it. Null: the browser does not say (an insecure origin). */
  get persisted(): boolean | null {
    return state.persisted;
  },
  async refresh(): Promise<void> {
    // `navigator.storage` is absent on insecure origins.
    const manager = navigator.storage as StorageManager | undefined;
    if (!manager) return;
    const estimate = await manager.estimate().catch(() => ({}) as StorageEstimate);
    const persisted = await manager.persisted().catch(() => false);
    state = { usedBytes: estimate.usage ?? null, quotaBytes: estimate.quota ?? null, persisted };
  },
  /** Says it where something lies here that a newer version of this page stored: no list shows it. */
  async tellOfNewer(): Promise<void> {
    const report = await ask('dataset', 'storedByNewer', null);
    if (report) problems.show(report);
  },
};

/** Asks the browser to keep what is stored; some browsers ask the user, others decide by themselves. */
export async function askToPersist(): Promise<void> {
  const manager = navigator.storage as StorageManager | undefined;
  if (manager && !(await manager.persisted().catch(() => true))) await manager.persist().catch(() => false);
  await storage.refresh();
}
