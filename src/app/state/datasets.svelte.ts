import type {
  AddedImages,
  Dataset,
  DatasetEvent,
  Members,
  NamedFile,
  Outcome,
  RgbImage,
  SplitSettings,
} from '../../workers/protocol.ts';
import { announce } from './announce.svelte.ts';
import { config } from './config.svelte.ts';
import { count } from '../format.ts';
import { keepAwake } from './keepAwake.svelte.ts';
import { recall, remember } from './remembered.ts';
import { provideStep } from './steps.svelte.ts';
import { askToPersist } from './storage.svelte.ts';
import { ask, onEvents, request } from './workers.svelte.ts';
import { problems } from './problems.svelte.ts';

export type ImportProgress = Extract<DatasetEvent, { type: 'importProgress' }>;
/** An import under way: what is read, and how far it is (null until the worker has said something). */
export interface Importing {
  readonly name: string;
  readonly progress: ImportProgress | null;
  readonly cancelling: boolean;
}

/** What adding images came to; told on the data set that came of it. */
export interface Added extends AddedImages {
  /** Name of the zip or folder. */
  readonly from: string;
}

const CHOSEN_KEY = 'pacerid.dataset';

let list = $state.raw<readonly Dataset[]>([]);
let currentId = $state<string | null>(null);
let importing = $state.raw<Importing | null>(null);
let added = $state.raw<Added | null>(null);
let loaded = $state(false);
let failed = $state(false);
let listening: (() => void) | undefined;

const current = $derived(list.find((dataset) => dataset.id === currentId) ?? null);

export const datasets = {
  /** Stored on this computer, newest first. */
  get list(): readonly Dataset[] {
    return list;
  },
  /** The one that training uses. */
  get current(): Dataset | null {
    return current;
  },
  get importing(): Importing | null {
    return importing;
  },
  /** What was added last, until it is put away. */
  get added(): Added | null {
    return added;
  },
  forgetAdded(): void {
    added = null;
  },
  /** False until the store has answered for the first time. */
  get loaded(): boolean {
    return loaded;
  },
  choose(id: string): void {
    currentId = id;
    remember(CHOSEN_KEY, id);
  },
  async refresh(): Promise<void> {
    const stored = await ask('dataset', 'list', null);
    loaded = true;
    if (!stored) return;
    list = stored.toSorted((a, b) => b.createdAt - a.createdAt);
    if (list.every((dataset) => dataset.id !== currentId)) {
      const chosen = recall(CHOSEN_KEY);
      const remembered = list.find((dataset) => dataset.id === chosen);
      currentId = (remembered ?? list[0])?.id ?? null;
    }
  },
  importFiles(files: readonly NamedFile[], name: string, source: 'zip' | 'folder'): Promise<boolean> {
    const { img_size: imgSize, num_workers: decoders } = config.effective.data;
    return runImport(name, () => request('dataset', 'importFiles', { files, name, source, imgSize, decoders }));
  },
  /** A new data set of `to` and these; `to` stays. `members`: the split it keeps; `split`: how all others are divided. */
  addFiles(
    to: Dataset,
    { files, name, source }: { files: readonly NamedFile[]; name: string; source: 'zip' | 'folder' },
    split: SplitSettings,
    members: Members | null,
  ): Promise<boolean> {
    const { img_size: imgSize, num_workers: decoders } = config.effective.data;
    return runImport(`${name} → ${to.name}`, async () => {
      const payload = { id: to.id, files, name, source, imgSize, decoders, split, members };
      const outcome = await request('dataset', 'addFiles', payload);
      if (!outcome.ok) return outcome;
      added = { ...outcome.value, from: name };
      return { ok: true, value: outcome.value.dataset };
    });
  },
  importSample(): Promise<boolean> {
    const { sample, img_size: imgSize } = config.forSample.data;
    return runImport('Sample data set', () => request('dataset', 'importSample', { sample, imgSize }));
  },
  /** The sample as the settings ask for it: the stored one, else drawn now. */
  async useSample(): Promise<boolean> {
    const id = await ask('dataset', 'findSample', { sample: config.forSample.data.sample });
    if (typeof id !== 'string') return datasets.importSample();
    datasets.choose(id);
    return true;
  },
  async cancelImport(): Promise<void> {
    if (!importing) return;
    importing = { ...importing, cancelling: true };
    await ask('dataset', 'cancelImport', null);
  },
  async delete(id: string): Promise<void> {
    await ask('dataset', 'delete', { id });
    await datasets.refresh();
    announce('The data set was deleted from this computer.');
  },
  /** Uncropped, at most `side` pixels on the long side, in the order asked for; undefined if it could not be read. */
  thumbnails(id: string, indices: readonly number[], side: number): Promise<RgbImage[] | undefined> {
    return ask('dataset', 'thumbnails', { id, indices, side });
  },
  original(id: string, index: number): Promise<Blob | undefined> {
    return ask('dataset', 'original', { id, index });
  },
  /** The whole of it as a zip that opens here and elsewhere. */
  zip(id: string): Promise<Blob | undefined> {
    return ask('dataset', 'datasetZip', { id });
  },
  sampleZip(): Promise<Blob | undefined> {
    return ask('dataset', 'sampleZip', { sample: config.forSample.data.sample });
  },
};

async function runImport(name: string, start: () => Promise<Outcome<Dataset>>): Promise<boolean> {
  if (importing) {
    announce('An import is already under way.', 'assertive');
    return false;
  }
  importing = { name, progress: null, cancelling: false };
  keepAwake(true, 'import');
  failed = false;
  listening ??= onEvents('dataset', onDatasetEvents);
  const persisting = askToPersist();
  const outcome = await start();
  importing = null;
  keepAwake(false, 'import');
  await persisting;
  if (!outcome.ok) {
    const cancelled = outcome.error.name === 'ImportCancelledError';
    failed = !cancelled;
    if (cancelled) announce('The import was cancelled. Nothing of it was kept.');
    else problems.show(outcome.error);
    return false;
  }
  list = [outcome.value, ...list.filter((dataset) => dataset.id !== outcome.value.id)];
  datasets.choose(outcome.value.id);
  announce(`${outcome.value.name} is ready: ${contents(outcome.value)}.`);
  return true;
}

function onDatasetEvents(events: readonly DatasetEvent[]): void {
  const progress = events.findLast((event) => event.type === 'importProgress');
  if (progress && importing) importing = { ...importing, progress };
}

/** `640 images, 8 classes` */
export function contents(dataset: Dataset): string {
  return `${count(dataset.images.length, 'image')}, ${count(dataset.classes.length, 'class', 'classes')}`;
}

// The sample, and what was added to it.
config.followSample(() => current?.synthetic ?? false);

provideStep('data', () => {
  if (importing) {
    const { done = 0, total = 0 } = importing.progress ?? {};
    return { state: 'working', progress: total > 0 ? done / total : null, note: 'importing' };
  }
  if (failed) return { state: 'failed', note: 'import failed' };
  if (current) return { state: 'done', note: contents(current) };
  return { state: 'ready', note: 'drop a zip' };
});
