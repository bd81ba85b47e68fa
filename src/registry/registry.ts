import { CHECKSUMS, checksumsText, hashBytes, verifiedFiles } from './checksums.ts';
import type { VersionContent } from './content.ts';
import { versionDiff } from './diff.ts';
import {
  CurrentVersionError,
  DamagedVersionError,
  NewerVersionError,
  NoSuchVersionError,
  VersionExistsError,
} from './errors.ts';
import { compareVersions, isVersion, versionAfter, versionOf } from './number.ts';
import { withOwnCertificate } from './proof.ts';
import { readRecord } from './record.ts';
import type { Folder, RegistryListing, Sha256, VersionDetails, VersionDiff, VersionRecord } from './types.ts';

const CURRENT = 'current';
/** The only file of a version that may change; its checksum is not kept. */
export const NOTES = 'notes.md';

/** What every version has, beside its package and its record. */
const PARTS = ['weights.safetensors', 'config.yaml', 'metrics.json', 'labels.txt'];

/** What a model would have to differ in for a new minor version. */
export type Candidate = Pick<VersionRecord, 'architecture' | 'labels'>;

export interface OpenVersion extends VersionContent {
  readonly notes: string;
}

/** Versions in a folder `models`: `versions/vX.Y.Z/`, each immutable, and `current`. Numbers may be given with or without the `v`. */
export interface Registry {
  /** `candidate`: the model that the suggested number is for; null: one like the newest version. */
  list(candidate?: Candidate | null): Promise<RegistryListing>;
  /** Those that newer code saved, the highest number first; no other file of any version is read. */
  newer(): Promise<string[]>;
  /** Throws `NoSuchVersionError`, `DamagedVersionError`, `NewerVersionError`. */
  read(version: string): Promise<VersionDetails>;
  /** The version itself: all its files but notes, verified, `SHA256SUMS` among them. Throws as `read` does. */
  open(version: string): Promise<OpenVersion>;
  /** Whether there is a version of this number, be it whole or damaged. */
  has(version: string): Promise<boolean>;
  /**
   * Writes what `versionContent` made, or what `open` of another registry gave, `SHA256SUMS` last. What an interrupted creation left
   * is cleared first. Throws `VersionExistsError`.
   */
  create(content: VersionContent, notes: string): Promise<VersionRecord>;
  current(): Promise<string | null>;
  setCurrent(version: string): Promise<void>;
  setNotes(version: string, notes: string): Promise<void>;
  diff(a: string, b: string): Promise<VersionDiff>;
  /** Throws `CurrentVersionError` unless it is the last one that can be removed, `NewerVersionError`. A damaged one goes too. */
  remove(version: string): Promise<void>;
}

const folderOf = (version: string): string => `versions/${version}`;
const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
const bytesOf = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(value);

export function versionRegistry(folder: Folder, hash: Sha256 = hashBytes): Registry {
  /** Version → the checksums that its files were seen to have, and its record: a listing need not read megabytes again. */
  const seenWhole = new Map<string, { readonly sums: string; readonly record: VersionRecord }>();

  const sumsOf = async (version: string): Promise<string | undefined> => {
    // A picked folder makes an empty file before it swaps the content in.
    return text(await folder.read(`${folderOf(version)}/${CHECKSUMS}`)) || undefined;
  };
  const names = async (): Promise<string[]> =>
    (await folder.list('versions'))
      .filter((name) => name.endsWith('/'))
      .map((name) => name.slice(0, -1))
      .filter(isVersion)
      .sort(compareVersions);
  const notesOf = async (version: string): Promise<string> => text(await folder.read(`${folderOf(version)}/${NOTES}`));

  const described = async (version: string): Promise<VersionRecord | string> =>
    readRecord(await folder.read(`${folderOf(version)}/version.json`), version);
  const isNewer = async (version: string): Promise<boolean> => {
    try {
      await described(version);
      return false;
    } catch (error) {
      if (error instanceof NewerVersionError) return true;
      throw error;
    }
  };

  /** Reads and hashes every file, and the package once more as a zip. Throws `NewerVersionError` before that: such a one cannot be judged. */
  const whole = async (version: string): Promise<VersionContent | string> => {
    const seen = seenWhole.get(version);
    seenWhole.delete(version);
    await described(version);
    const files = await verifiedFiles(folder, folderOf(version), hash);
    if (typeof files === 'string') return files;
    const record = readRecord(files.get('version.json'), version);
    if (typeof record === 'string') return record;
    const parts = [`${record.modelName}.mlpackage/Manifest.json`, ...PARTS];
    const lacking = parts.find((part) => !files.has(part));
    if (lacking !== undefined) return `${lacking} is not among its files`;
    const sums = text(files.get(CHECKSUMS));
    const own = seen?.sums === sums ? seen.record : await withOwnCertificate(record, files, sums, hash);
    seenWhole.set(version, { sums, record: own });
    return { files, record: own };
  };
  const open = async (given: string): Promise<OpenVersion> => {
    const version = versionOf(given);
    const there = await names();
    if (!there.includes(version)) throw new NoSuchVersionError(version, there);
    const found = await whole(version);
    if (typeof found === 'string') throw new DamagedVersionError(version, found);
    return { ...found, notes: await notesOf(version) };
  };
  const recordOf = async (version: string): Promise<VersionRecord | string> => {
    const seen = seenWhole.get(version);
    if (seen !== undefined && seen.sums === (await sumsOf(version))) return seen.record;
    const found = await whole(version);
    return typeof found === 'string' ? found : found.record;
  };
  const current = async (): Promise<string | null> => {
    const name = text(await folder.read(CURRENT)).trim();
    return isVersion(name) ? name : null;
  };
  const read = async (version: string): Promise<VersionDetails> => {
    const { files, record, notes } = await open(version);
    return {
      ...record,
      notes,
      files: [...files].map(([path, bytes]) => ({ path, bytes: bytes.length, sha256: hash(bytes) })),
      config: text(files.get('config.yaml')),
      metrics: text(files.get('metrics.json')),
    };
  };
  const newer = async (): Promise<string[]> => {
    const found: string[] = [];
    for (const version of await names()) if (await isNewer(version)) found.unshift(version);
    return found;
  };
  const numbered = async (version: string): Promise<boolean> => (await sumsOf(version)) !== undefined;

  return {
    list: async (candidate = null) => {
      const versions: RegistryListing['versions'][number][] = [];
      const damaged: RegistryListing['damaged'][number][] = [];
      const unread: string[] = [];
      let highest: string | null = null;
      for (const version of await names()) {
        if (await numbered(version)) highest = version;
        try {
          const record = await recordOf(version);
          if (typeof record === 'string') damaged.unshift({ version, reason: record });
          else versions.unshift({ ...record, notes: await notesOf(version) });
        } catch (error) {
          if (!(error instanceof NewerVersionError)) throw error;
          unread.unshift(version);
        }
      }
      const suggested = suggestedFor(candidate, versions[0], highest);
      return { versions, damaged, newer: unread, current: await current(), suggested };
    },
    newer,
    read,
    open,
    has: (version) => numbered(versionOf(version)),
    create: async ({ record, files }, notes) => {
      const { version } = record;
      const under = folderOf(versionOf(version));
      if (await numbered(version)) {
        const highest = (await names()).at(-1) ?? null;
        throw new VersionExistsError(version, versionAfter(highest, 'weights'));
      }
      await folder.remove(under);
      const sums = files.get(CHECKSUMS) ?? bytesOf(checksumsText(files, hash));
      for (const [path, bytes] of files) if (path !== CHECKSUMS) await folder.write(`${under}/${path}`, bytes);
      if (notes !== '') await folder.write(`${under}/${NOTES}`, bytesOf(notes));
      await folder.write(`${under}/${CHECKSUMS}`, sums);
      seenWhole.set(version, { sums: text(sums), record });
      return record;
    },
    current,
    setCurrent: async (version) => {
      const { record } = await open(version);
      await folder.write(CURRENT, bytesOf(`${record.version}\n`));
    },
    setNotes: async (version, notes) => {
      const { record } = await open(version);
      const path = `${folderOf(record.version)}/${NOTES}`;
      await (notes === '' ? folder.remove(path) : folder.write(path, bytesOf(notes)));
    },
    diff: async (a, b) => versionDiff(await read(a), await read(b)),
    remove: async (given) => {
      const version = versionOf(given);
      const there = await names();
      if (!there.includes(version)) throw new NoSuchVersionError(version, there);
      await described(version);
      if ((await current()) === version) {
        if (there.length - (await newer()).length > 1) throw new CurrentVersionError(version);
        await folder.remove(CURRENT);
      }
      seenWhole.delete(version);
      // What is left where this is cut short is no version.
      await folder.remove(`${folderOf(version)}/${CHECKSUMS}`);
      await folder.remove(folderOf(version));
    },
  };
}

/** `highest`: the highest number that is taken, be it by a damaged version. */
function suggestedFor(candidate: Candidate | null, newest: Candidate | undefined, highest: string | null): string {
  const same =
    candidate === null ||
    newest === undefined ||
    (candidate.architecture === newest.architecture &&
      candidate.labels.length === newest.labels.length &&
      candidate.labels.every((label, i) => label === newest.labels[i]));
  return versionAfter(highest, same ? 'weights' : 'labels or architecture');
}
