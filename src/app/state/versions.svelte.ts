import { untrack } from 'svelte';
import type {
  Config,
  RegistryListing,
  VersionDetails,
  VersionDiff,
  VersionRecord,
  WorkId,
} from '../../workers/protocol.ts';
import { proofMark, versionName } from '../certificateWords.ts';
import { count } from '../format.ts';
import { saveFile } from '../saveFile.ts';
import { announce } from './announce.svelte.ts';
import { comparingOf, onWork, type Comparing } from './comparing.ts';
import { during, model } from './model.svelte.ts';
import { problems } from './problems.svelte.ts';
import { provideStep } from './steps.svelte.ts';
import { ask, request } from './workers.svelte.ts';
import { beginWork } from './works.svelte.ts';

let listing = $state.raw<RegistryListing | null>(null);
let asked = $state(false);
/** Of the questions for the list: the answer to an earlier one is not taken. */
let newest = 0;
let saving = $state.raw<Saving | null>(null);

/** A version on its way into the registry. */
export interface Saving {
  readonly version: string;
  readonly workId: WorkId;
  /** It can be called off until it is `keeping`, which the registry does in one go; `stopping`: it was. */
  readonly stage: 'comparing' | 'keeping' | 'stopping';
  /** How far the comparison of its package with the trained network is; null before. */
  readonly comparing: Comparing | null;
}

/** The registry of this page: versions kept in this browser, in the layout of the repository's `models/`. */
export const versions = {
  /** False until the registry has answered for the first time. */
  get loaded(): boolean {
    return asked;
  },
  /** The highest number first. */
  get list(): RegistryListing['versions'] {
    return listing?.versions ?? [];
  },
  get current(): string | null {
    return listing?.current ?? null;
  },
  /** With what its certificate lacks: `v1.0.0 (certificate failed)`. */
  get currentName(): string {
    const one = versions.list.find(({ version }) => version === versions.current);
    return one ? versionName(one) : (versions.current ?? '');
  },
  get suggested(): string {
    return listing?.suggested ?? 'v1.0.0';
  },
  get damaged(): RegistryListing['damaged'] {
    return listing?.damaged ?? [];
  },
  /** Saved by a newer version of this page: left as they are. */
  get newer(): RegistryListing['newer'] {
    return listing?.newer ?? [];
  },
  /** Null when idle. */
  get saving(): Saving | null {
    return saving;
  },

  /** Also when another run is chosen: the number suggested is for its model. */
  async refresh(): Promise<void> {
    const mine = (newest += 1);
    const answer = await ask('model', 'versions', { runId: untrack(() => model.summary?.id ?? null) });
    if (mine === newest) listing = answer ?? listing;
    asked = true;
  },
  /** The best checkpoint of a run becomes an immutable version. */
  async create(
    runId: string,
    version: string,
    notes: string,
    output: Config['output'],
  ): Promise<'saved' | 'cancelled' | 'failed'> {
    if (saving !== null) return 'failed';
    const { id: workId, over } = beginWork();
    saving = { version, workId, stage: 'comparing', comparing: null };
    const quiet = onWork(workId, (event) => {
      if (saving === null) return;
      if (event.what === 'keeping') saving = { ...saving, stage: 'keeping' };
      else if (saving.stage === 'comparing') saving = { ...saving, comparing: comparingOf(event) };
    });
    const made = await request('model', 'createVersion', { runId, version, notes, output, workId });
    quiet();
    over();
    saving = null;
    await versions.refresh();
    if (made.ok) {
      announce(`${version} is saved in this browser.${proof(made.value)}`);
      return 'saved';
    }
    if (made.error.name === 'WritingCancelledError') {
      announce(`Cancelled: ${version} is not saved.`);
      return 'cancelled';
    }
    problems.show(made.error);
    return 'failed';
  },
  /** The version that is being saved isn't, then. */
  cancelSaving(): void {
    if (saving?.stage !== 'comparing') return;
    saving = { ...saving, stage: 'stopping' };
    void request('model', 'cancel', { workId: saving.workId });
  },
  /** All about one, its checksums verified; undefined where it cannot be read. */
  details(version: string): Promise<VersionDetails | undefined> {
    return ask('model', 'version', { version });
  },
  compare(a: string, b: string): Promise<VersionDiff | undefined> {
    return ask('model', 'compareVersions', { a, b });
  },
  /** Also how one rolls back. */
  async makeCurrent(version: string): Promise<void> {
    if ((await ask('model', 'setCurrentVersion', { version })) === undefined) return;
    await versions.refresh();
    announce(`${versions.currentName} is current.`);
  },
  async setNotes(version: string, notes: string): Promise<void> {
    if ((await ask('model', 'setVersionNotes', { version, notes })) === undefined) return;
    await versions.refresh();
    announce(`The notes of ${version} are kept.`);
  },
  async delete(version: string): Promise<void> {
    if ((await ask('model', 'deleteVersion', { version })) === undefined) return;
    await versions.refresh();
    announce(`${version} was deleted from this browser.`);
  },
  async download(version: string, iosDir: string): Promise<void> {
    const zip = await during('packing the zip', () => ask('model', 'versionsZip', { version, iosDir }));
    if (zip) saveFile(zip.blob, zip.fileName);
  },
};

function proof({ certificate }: VersionRecord): string {
  if (certificate === null) return ' It has no certificate.';
  return certificate.passed ? ' Its certificate passed.' : ' Its certificate failed.';
}

provideStep('versions', () => {
  if (saving !== null)
    return {
      state: 'working',
      progress: saving.comparing?.share ?? null,
      note: `saving ${saving.version}`,
    };
  const { list, current } = versions;
  if (list.length > 0) {
    const failed = list.some((one) => one.version === current && proofMark(one) === 'certificate failed');
    const note = current === null ? count(list.length, 'version') : `${versions.currentName} is current`;
    return { state: failed ? 'failed' : 'done', note };
  }
  return model.summary ? { state: 'ready', note: 'ready' } : { state: 'empty', note: 'needs a trained model' };
});
