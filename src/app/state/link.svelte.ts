import type { DatasetEvent, LinkedFile } from '../../workers/protocol.ts';
import { imagesOfZip } from '../receive.ts';
import { address, addressDone, doneBefore, namesStep } from './address.ts';
import { announce } from './announce.svelte.ts';
import { arrivals } from './arrivals.svelte.ts';
import { brought, type Brought } from './brought.svelte.ts';
import { datasets } from './datasets.svelte.ts';
import { keepAwake } from './keepAwake.svelte.ts';
import { model } from './model.svelte.ts';
import { go, navigation } from './navigation.svelte.ts';
import { openModel } from './openModel.ts';
import { problems } from './problems.svelte.ts';
import { run } from './run.svelte.ts';
import { ask, onEvents, request } from './workers.svelte.ts';

type Kind = Brought['kind'];
type DownloadProgress = Extract<DatasetEvent, { type: 'downloadProgress' }>;

/** A zip that the link names, and what has become of it. Nothing comes before the user wants it. */
export type Linked = { readonly kind: Kind; readonly address: string } & (
  | { readonly state: 'looking' }
  | {
      /** `asked`: the user is · `here`: it came by this link before, and is in use. */
      readonly state: 'asked' | 'coming' | 'opening' | 'here';
      readonly file: LinkedFile;
      readonly progress: DownloadProgress | null;
      /** What came by this link before is another file. */
      readonly changed: boolean;
    }
);

let zips = $state.raw<readonly Linked[]>([]);
let begun = false;
let listening: (() => void) | undefined;

/** What the page's address asks for beside settings. */
export const link = {
  get zips(): readonly Linked[] {
    return zips;
  },
  /** Called once data sets and runs are known. */
  async begin(): Promise<void> {
    if (begun) return;
    begun = true;
    await Promise.all([
      address.demo ? demonstrate() : null,
      address.dataset === null ? null : lookAt('dataset', address.dataset),
      address.model === null ? null : lookAt('model', address.model),
    ]);
    addressDone();
  },
  async download(kind: Kind): Promise<void> {
    const zip = find(kind);
    if (!zip || zip.state === 'looking') return;
    const { url, name, bytes } = zip.file;
    listening ??= onEvents('dataset', onDownload);
    set({ ...zip, state: 'coming', progress: null });
    keepAwake(true, url);
    const outcome = await request('dataset', 'download', { url, bytes });
    keepAwake(false, url);
    if (outcome.ok) return kind === 'dataset' ? openDataset(zip.file, outcome.value) : useModel(zip, outcome.value);
    const { name: failure } = outcome.error;
    if (failure === 'DownloadCancelledError') {
      set({ ...zip, state: 'asked', progress: null });
      announce(`The download of ${name} was cancelled.`);
    } else if (['DownloadBrokenError', 'LinkUnreachableError', 'WorkerLostError'].includes(failure)) {
      set({ ...zip, state: 'asked', progress: null });
      problems.show(outcome.error, { label: 'Try again', run: () => void link.download(kind) });
    } else {
      link.putAway(kind);
      problems.show(outcome.error);
    }
  },
  async cancel(kind: Kind): Promise<void> {
    const zip = find(kind);
    if (zip?.state === 'coming') await ask('dataset', 'cancelDownload', { url: zip.file.url });
  },
  putAway(kind: Kind): void {
    zips = zips.filter((zip) => zip.kind !== kind);
  },
};

/** The sample, and the step where it can be trained. */
async function demonstrate(): Promise<void> {
  if (doneBefore && datasets.current) return;
  const drawn = await datasets.useSample();
  if (!drawn || doneBefore) return;
  if (!run.active) run.close();
  // Whoever has gone on meanwhile is not called back.
  if (!namesStep && navigation.step === 'data') go('train');
}

async function lookAt(kind: Kind, linked: string): Promise<void> {
  const before = brought.from(kind, located(linked));
  const there = before && isHere(before) ? before : null;
  if (there && doneBefore) return;
  set({ kind, address: linked, state: 'looking' });
  const outcome = await request('dataset', 'lookAtLink', { address: linked });
  if (find(kind)?.state !== 'looking') return;
  if (there && (outcome.ok ? [null, there.bytes].includes(outcome.value.bytes) : isAway(outcome.error))) {
    const file = outcome.ok ? outcome.value : { url: there.url, name: linked, host: null, bytes: there.bytes };
    use(there);
    set({ kind, address: linked, state: 'here', file, progress: null, changed: false });
    announce(`${file.name} is here already, and in use.`);
  } else if (outcome.ok) {
    const file = outcome.value;
    set({ kind, address: linked, state: 'asked', file, progress: null, changed: there !== null });
  } else {
    link.putAway(kind);
    const again = { label: 'Try again', run: () => void lookAt(kind, linked) };
    problems.show(outcome.error, isAway(outcome.error) ? again : null);
  }
}

/** As the dataset worker locates it; what is no address was never brought. */
function located(linked: string): string {
  if (!URL.canParse(linked, document.baseURI)) return linked;
  const url = new URL(linked, document.baseURI);
  url.hash = '';
  return url.href;
}

const isAway = ({ name }: { readonly name: string }): boolean =>
  name === 'LinkUnreachableError' || name === 'WorkerLostError';

function isHere({ kind, id }: Brought): boolean {
  return kind === 'dataset' ? datasets.list.some((one) => one.id === id) : model.usable.some((one) => one.id === id);
}

function use({ kind, id }: Brought): void {
  if (kind === 'dataset') return datasets.choose(id);
  model.choose(id);
  if (!namesStep && navigation.step === 'data') go('try');
}

async function openDataset({ url, name }: LinkedFile, zip: Blob): Promise<void> {
  link.putAway('dataset');
  const images = imagesOfZip(name, zip);
  // Another one was dropped meanwhile.
  if (datasets.importing) return arrivals.wait({ kind: 'images', ...images });
  go('data');
  const opened = await datasets.importFiles(images.files, images.name, images.source);
  if (opened && datasets.current) brought.keep({ kind: 'dataset', url, bytes: zip.size, id: datasets.current.id });
}

async function useModel(zip: Exclude<Linked, { state: 'looking' }>, file: Blob): Promise<void> {
  set({ ...zip, state: 'opening' });
  const { url, name } = zip.file;
  const summary = await openModel(file, name);
  link.putAway('model');
  if (summary) brought.keep({ kind: 'model', url, bytes: file.size, id: summary.id });
}

function find(kind: Kind): Linked | undefined {
  return zips.find((zip) => zip.kind === kind);
}

function set(zip: Linked): void {
  zips = find(zip.kind) ? zips.map((one) => (one.kind === zip.kind ? zip : one)) : [...zips, zip];
}

function onDownload(events: readonly DatasetEvent[]): void {
  for (const event of events) {
    if (event.type !== 'downloadProgress') continue;
    zips = zips.map((zip) =>
      zip.state === 'coming' && zip.file.url === event.url ? { ...zip, progress: event } : zip,
    );
  }
}
