import type { ErrorReport } from '../../errors.ts';
import { locate, mayFetch } from '../../hosts.ts';
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
  | {
      /** The user is asked whether that host may be. */
      readonly state: 'foreign';
      readonly host: string;
    }
  | { readonly state: 'looking' }
  | {
      /** It came by this link before. */
      readonly state: 'here';
      readonly file: LinkedFile;
      /** Not where the user has chosen another one meanwhile. */
      readonly inUse: boolean;
    }
  | {
      /** `asked`: the user is. */
      readonly state: 'asked' | 'coming' | 'opening';
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
      address.dataset === null ? null : open('dataset', address.dataset),
      address.model === null ? null : open('model', address.model),
    ]);
    addressDone();
  },
  /** The user lets the file's host be asked. */
  async look(kind: Kind): Promise<void> {
    const zip = find(kind);
    if (zip?.state === 'foreign') await lookAt(kind, zip.address);
  },
  async download(kind: Kind): Promise<void> {
    const zip = find(kind);
    if (zip?.state !== 'asked') return;
    const { url, name, bytes } = zip.file;
    listening ??= onEvents('dataset', onDownload);
    set({ ...zip, state: 'coming', progress: null });
    keepAwake(true, url);
    const outcome = await request('dataset', 'download', { url, bytes });
    keepAwake(false, url);
    if (outcome.ok) return kind === 'dataset' ? openDataset(zip.file, outcome.value) : useModel(zip, outcome.value);
    const cancelled = outcome.error.name === 'DownloadCancelledError';
    if (cancelled || mayPass(outcome.error)) set(zip);
    else link.putAway(kind);
    if (cancelled) announce(`The download of ${name} was cancelled.`);
    else tell(outcome.error, () => void link.download(kind));
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

/** A host other than the page's is asked nothing by itself. */
async function open(kind: Kind, linked: string): Promise<void> {
  const there = broughtBefore(kind, linked);
  const host = foreignHost(linked);
  if (there && doneBefore) return;
  if (host === null) await lookAt(kind, linked);
  else if (there) take(there, { url: there.url, name: linked, host, bytes: there.bytes }, true);
  else set({ kind, address: linked, state: 'foreign', host });
}

async function lookAt(kind: Kind, linked: string): Promise<void> {
  const there = broughtBefore(kind, linked);
  const chosen = idInUse(kind);
  set({ kind, address: linked, state: 'looking' });
  const outcome = await request('dataset', 'lookAtLink', { address: linked });
  if (find(kind)?.state !== 'looking') return;
  if (there && (!outcome.ok || [null, there.bytes].includes(outcome.value.bytes))) {
    const file = outcome.ok ? outcome.value : { url: there.url, name: linked, host: null, bytes: there.bytes };
    take(there, file, [chosen, there.id].includes(idInUse(kind)));
  } else if (outcome.ok) {
    const file = outcome.value;
    set({ kind, address: linked, state: 'asked', file, progress: null, changed: there !== null });
  } else {
    link.putAway(kind);
    tell(outcome.error, () => void lookAt(kind, linked));
  }
}

function broughtBefore(kind: Kind, linked: string): Brought | null {
  const before = brought.from(kind, locate(linked, document.baseURI)?.href ?? linked);
  return before && isHere(before) ? before : null;
}

/** Null: the page's own, or none that may be asked, which the worker says. */
function foreignHost(linked: string): string | null {
  const url = locate(linked, document.baseURI);
  return url && url.origin !== location.origin && mayFetch(url, location.origin) ? url.host : null;
}

/** What is here already. */
function take(there: Brought, file: LinkedFile, inUse: boolean): void {
  const { kind } = there;
  if (inUse) use(there);
  set({ kind, address: file.name, state: 'here', file, inUse });
  announce(`${file.name} is here already${inUse ? ', and in use' : ''}.`);
}

function tell(error: ErrorReport, again: () => void): void {
  problems.show(error, mayPass(error) ? { label: 'Try again', run: again } : null);
}

const mayPass = ({ name }: ErrorReport): boolean =>
  ['DownloadBrokenError', 'LinkUnreachableError', 'WorkerLostError'].includes(name);

function idInUse(kind: Kind): string | undefined {
  return kind === 'dataset' ? datasets.current?.id : model.summary?.id;
}

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

async function useModel(zip: Extract<Linked, { progress: unknown }>, file: Blob): Promise<void> {
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
