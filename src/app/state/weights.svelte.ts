import type { StoredWeights } from '../../workers/protocol.ts';
import { announce } from './announce.svelte.ts';
import { config } from './config.svelte.ts';
import { ask } from './workers.svelte.ts';

let list = $state.raw<readonly StoredWeights[]>([]);
let chosenId = $state<string | null>(null);
let importing = $state<string | null>(null);

/** Weights files kept on this computer; `chosen` is what the next run starts from (null: as `model.pretrained` says). */
export const weights = {
  get list(): readonly StoredWeights[] {
    return list;
  },
  get chosen(): StoredWeights | null {
    return (
      list.find((item) => item.id === chosenId && item.architecture === config.effective.model.architecture) ?? null
    );
  },
  /** Name of the file or model that is being read; null when idle. */
  get importing(): string | null {
    return importing;
  },
  choose(id: string | null): void {
    chosenId = id;
  },
  async refresh(): Promise<void> {
    list = (await ask('model', 'weights', null)) ?? list;
  },
  /** A file of the network that is set up. */
  async importFile(file: File): Promise<void> {
    const { architecture } = config.effective.model;
    const stored = await weights.take(file.name, () =>
      ask('model', 'importWeights', { file, name: file.name, architecture }),
    );
    if (stored) announce(`Weights from ${stored.name} are ready for ${stored.architecture}.`);
  },
  /** What `read` brings becomes what the next run starts from; undefined where it failed, then nothing changes. */
  async take(name: string, read: () => Promise<StoredWeights | undefined>): Promise<StoredWeights | undefined> {
    importing = name;
    const stored = await read();
    if (stored) {
      await weights.refresh();
      chosenId = stored.id;
    }
    // Only now: a run that starts before the file is chosen would silently start from other weights.
    importing = null;
    return stored;
  },
  async delete(id: string): Promise<void> {
    await ask('model', 'deleteWeights', { id });
    if (chosenId === id) chosenId = null;
    await weights.refresh();
  },
};
