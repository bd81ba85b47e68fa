import { DamagedVersionError, NewerVersionError } from './errors.ts';
import type { Registry } from './registry.ts';

/**
 * Takes over every version that `from` has and `into` lacks, checksums verified, and what is current where nothing is yet. Answers with their
 * numbers, the lowest first. Throws `DamagedVersionError` for a damaged one that is lacking, `NewerVersionError` for one that this code cannot
 * read, once the others are in.
 */
export async function importVersions(from: Registry, into: Registry): Promise<string[]> {
  const { versions, damaged, newer, current } = await from.list();
  const taken: string[] = [];
  for (const { version } of versions.toReversed()) {
    if (await into.has(version)) continue;
    const { notes, ...content } = await from.open(version);
    await into.create(content, notes);
    taken.push(version);
  }
  if ((await into.current()) === null && current !== null && (await into.has(current))) await into.setCurrent(current);
  for (const { version, reason } of damaged) {
    if (!(await into.has(version))) throw new DamagedVersionError(version, reason, taken);
  }
  for (const version of newer) if (!(await into.has(version))) throw new NewerVersionError(version, taken);
  return taken;
}
