import { CHECKSUMS, readChecksums, sameBytes } from './checksums.ts';
import { UnprovenVersionError, VersionExistsError } from './errors.ts';
import { versionAfter } from './number.ts';
import { proofProblem } from './proof.ts';
import { folderIn, joined, pathInside, pathsUnder } from './paths.ts';
import { NOTES, versionRegistry, type Registry } from './registry.ts';
import type { Files, Folder, SyncChange } from './types.ts';

export interface SyncTarget {
  readonly folder: Folder;
  /** Where the version itself and `current` go too; null: only the package is wanted. Inside `folder`. */
  readonly modelsDir: string | null;
  /** Where the app's package lies. Inside `folder`. */
  readonly iosDir: string;
}

/**
 * Copies a version's package to where the app is built from, under the name that the app loads, and, where `modelsDir` is given, the
 * version to `modelsDir/versions` with `current` pointing at it. Checksums are verified first; what is there already, byte for byte, is not
 * written again. At no moment does the package hold files of two models: it is replaced as a whole, or, where folders cannot be renamed, has no
 * `Manifest.json` meanwhile (Core ML refuses it then). Throws the errors of `Registry.read`, `UnprovenVersionError` for a version without
 * a certificate that passed, unless it is copied `unproven`, and `VersionExistsError` where the folder has another version of this number.
 */
export async function syncVersion(
  models: Registry,
  version: string,
  target: SyncTarget,
  { dryRun, unproven = false }: { dryRun: boolean; unproven?: boolean },
): Promise<SyncChange[]> {
  const { record, files, notes } = await models.open(version);
  const { version: number, modelName } = record;
  const problem = proofProblem(record);
  if (problem !== null && !unproven && !dryRun) throw new UnprovenVersionError(number, problem);
  const iosDir = pathInside(target.iosDir);
  const modelsDir = target.modelsDir === null ? null : pathInside(target.modelsDir);
  const top = `${modelName}.mlpackage`;
  const wanted = new Map(
    [...files]
      .filter(([path]) => path.startsWith(`${top}/`))
      .map(([path, bytes]) => [path.slice(top.length + 1), bytes]),
  );
  const changes: SyncChange[] = [];
  if (modelsDir !== null) changes.push(...(await syncRecord(target.folder, modelsDir, number, files, notes, dryRun)));
  changes.push(...(await syncPackage(target.folder, iosDir, top, wanted, dryRun)));
  if (modelsDir !== null) changes.push(await pointCurrent(target.folder, modelsDir, number, dryRun));
  return changes;
}

async function syncPackage(
  folder: Folder,
  iosDir: string,
  top: string,
  wanted: Files,
  dryRun: boolean,
): Promise<SyncChange[]> {
  const place = joined(iosDir, top);
  const there = await pathsUnder(folder, place);
  const stale = there.filter((path) => !wanted.has(path));
  const changes = [
    ...(await compared(folder, place, wanted)),
    ...stale.map((path): SyncChange => ({ action: 'remove', path: joined(place, path), bytes: 0 })),
  ];
  if (dryRun) return changes;
  const staged = joined(iosDir, `.${top}.new`);
  await folder.remove(staged);
  if (changes.every(({ action }) => action === 'unchanged')) {
    await folder.remove(joined(iosDir, `.${top}.old`));
  } else if (folder.replaceFolder !== undefined) {
    for (const [path, bytes] of wanted) await folder.write(joined(staged, path), bytes);
    await folder.replaceFolder(staged, place);
  } else {
    const manifest = 'Manifest.json';
    await folder.remove(joined(place, manifest));
    for (const path of stale) await folder.remove(joined(place, path));
    const last = [...wanted].sort(([a], [b]) => Number(a === manifest) - Number(b === manifest));
    for (const [path, bytes] of last) await folder.write(joined(place, path), bytes);
  }
  return changes;
}

/** The version's own folder. One that is there already stays as it is, but for files that were lost or spoiled there. */
async function syncRecord(
  folder: Folder,
  modelsDir: string,
  version: string,
  files: Files,
  notes: string,
  dryRun: boolean,
): Promise<SyncChange[]> {
  const place = joined(modelsDir, 'versions', version);
  const found = await folder.read(joined(place, CHECKSUMS));
  const sums = found?.length === 0 ? undefined : found;
  if (sums !== undefined && !sameSums(sums, files.get(CHECKSUMS))) {
    const { suggested } = await versionRegistry(folderIn(folder, modelsDir)).list();
    throw new VersionExistsError(
      version,
      suggested === version ? versionAfter(version, 'weights') : suggested,
      ' in that folder',
    );
  }
  const all = new Map([...files].filter(([path]) => path !== CHECKSUMS || sums === undefined));
  if (notes !== '') all.set(NOTES, new TextEncoder().encode(notes));
  // What an interrupted sync left is no version: it goes, and the whole is written.
  const changes = await compared(sums === undefined ? emptyFolder : folder, place, all);
  if (dryRun) return changes;
  if (sums === undefined) await folder.remove(place);
  const inOrder = [...all].sort(([a], [b]) => Number(a === CHECKSUMS) - Number(b === CHECKSUMS));
  const unchanged = new Set(changes.filter(({ action }) => action === 'unchanged').map(({ path }) => path));
  for (const [path, bytes] of inOrder) {
    if (!unchanged.has(joined(place, path))) await folder.write(joined(place, path), bytes);
  }
  return changes;
}

async function pointCurrent(folder: Folder, modelsDir: string, to: string, dryRun: boolean): Promise<SyncChange> {
  const path = joined(modelsDir, 'current');
  const before = await folder.read(path);
  const from = before === undefined ? null : new TextDecoder().decode(before).trim();
  const bytes = new TextEncoder().encode(`${to}\n`);
  const action = before === undefined ? 'create' : from === to ? 'unchanged' : 'replace';
  if (!dryRun && action !== 'unchanged') await folder.write(path, bytes);
  return { action, path, bytes: bytes.length, from, to };
}

async function compared(folder: Pick<Folder, 'read'>, place: string, wanted: Files): Promise<SyncChange[]> {
  const changes: SyncChange[] = [];
  for (const [path, bytes] of [...wanted].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const there = await folder.read(joined(place, path));
    const action = there === undefined ? 'create' : sameBytes(there, bytes) ? 'unchanged' : 'replace';
    changes.push({ action, path: joined(place, path), bytes: bytes.length });
  }
  return changes;
}

const emptyFolder: Pick<Folder, 'read'> = { read: () => Promise.resolve(undefined) };

/** By what they say: a checkout may have changed the ends of lines. */
function sameSums(a: Uint8Array, b: Uint8Array | undefined): boolean {
  const [x, y] = [a, b].map((bytes) => readChecksums(new TextDecoder().decode(bytes)));
  if (x === undefined || y === undefined || typeof x === 'string' || typeof y === 'string') return false;
  return x.size === y.size && [...x].every(([path, hash]) => y.get(path) === hash);
}
