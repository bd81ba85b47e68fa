import { untrack } from 'svelte';
import type { Config, RegistryListing, VersionDetails, VersionDiff, VersionRecord } from '../../workers/protocol.ts';
import { count } from '../format.ts';
import { saveFile } from '../saveFile.ts';
import { announce } from './announce.svelte.ts';
import { onComparing, type Comparing } from './comparing.ts';
import { during, model } from './model.svelte.ts';
import { provideStep } from './steps.svelte.ts';
import { ask } from './workers.svelte.ts';

let listing = $state.raw<RegistryListing | null>(null);
let asked = $state(false);
/** Of the questions for the list: the answer to an earlier one is not taken. */
let newest = 0;
/** The version that is being written; null when idle. */
let saving = $state<string | null>(null);
/** How far the comparison of its package with the trained network is; null before and after. */
let comparing = $state.raw<Comparing | null>(null);

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
  get saving(): string | null {
    return saving;
  },
  get comparing(): Comparing | null {
    return comparing;
  },

  /** Also when another run is chosen: the number suggested is for its model. */
  async refresh(): Promise<void> {
    const mine = (newest += 1);
    const answer = await ask('model', 'versions', { runId: untrack(() => model.summary?.id ?? null) });
    if (mine === newest) listing = answer ?? listing;
    asked = true;
  },
  /** The best checkpoint of a run becomes an immutable version. */
  async create(runId: string, version: string, notes: string, output: Config['output']): Promise<boolean> {
    saving = version;
    const quiet = onComparing((state) => (comparing = state));
    const made = await during(`saving ${version}`, () =>
      ask(
        'model',
        'createVersion',
        { runId, version, notes, output },
        { quiet: ({ name }) => name === 'CertificateCancelledError' },
      ),
    );
    quiet();
    [saving, comparing] = [null, null];
    await versions.refresh();
    if (made) announce(`${version} is saved in this browser.${proof(made)}`);
    return made !== undefined;
  },
  /** Ends the comparison of the version that is being saved: it is not saved then. */
  async cancelSaving(): Promise<void> {
    await ask('model', 'cancelCertificate', null);
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
    announce(`${version} is current.`);
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
      progress: comparing?.share ?? null,
      note: `saving ${saving}`,
    };
  const n = versions.list.length;
  if (n > 0)
    return { state: 'done', note: versions.current === null ? count(n, 'version') : `${versions.current} is current` };
  return model.summary ? { state: 'ready', note: 'ready' } : { state: 'empty', note: 'needs a trained model' };
});
