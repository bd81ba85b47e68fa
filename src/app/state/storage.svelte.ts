import type { ErrorReport } from '../../workers/protocol.ts';
import { problems } from './problems.svelte.ts';
import { ask } from './workers.svelte.ts';

/** Room on this computer: what this page takes, what the browser grants, and whether it may be cleared without asking. */
interface StorageState {
  readonly usedBytes: number | null;
  readonly quotaBytes: number | null;
  readonly persisted: boolean | null;
}

let featureBytes = $state(0);
let newer = $state.raw<ErrorReport | null>(null);
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
  /** Of what frozen backbones gave, which is kept for the next run. */
  get featureBytes(): number {
    return featureBytes;
  },
  async deleteFeatures(): Promise<void> {
    await ask('dataset', 'deleteFeatures', null);
    featureBytes = 0;
  },
  /** What lies here that a newer version of this page stored, in a sentence; null where there is nothing. */
  get newer(): ErrorReport | null {
    return newer;
  },
  async refresh(): Promise<void> {
    featureBytes = (await ask('dataset', 'features', null, { quiet: () => true })) ?? 0;
    // `navigator.storage` is absent on insecure origins.
    const manager = navigator.storage as StorageManager | undefined;
    if (!manager) return;
    const estimate = await manager.estimate().catch(() => ({}) as StorageEstimate);
    const persisted = await manager.persisted().catch(() => false);
    state = { usedBytes: estimate.usage ?? null, quotaBytes: estimate.quota ?? null, persisted };
  },
  /** Looks for that and says it: no list shows it. */
  async tellOfNewer(): Promise<void> {
    newer = (await ask('dataset', 'storedByNewer', null)) ?? null;
    if (newer) problems.show(newer);
  },
};

/** Asks the browser to keep what is stored; some browsers ask the user, others decide by themselves. */
export async function askToPersist(): Promise<void> {
  const manager = navigator.storage as StorageManager | undefined;
  if (manager && !(await manager.persisted().catch(() => true))) await manager.persist().catch(() => false);
  await storage.refresh();
}
