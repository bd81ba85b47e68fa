import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { diskRunStore, readRecord } from '../platform/node/diskRunStore.ts';
import { asReadableFile, VersionIsNoCheckpointError } from './errors.ts';
import { namesVersion } from './registry.ts';
import type { RunStore } from '../training/types.ts';
import type { Session } from './session.ts';

/** What `--checkpoint` says, or else the best one of the last run. */
export function checkpointPath(given: string | undefined, outputDir: string): string {
  return given ?? join(outputDir, 'checkpoint_best.safetensors');
}

/** `ofVersion`: what to do with a version instead, which has no checkpoint. Throws `FileMissingError`, `VersionIsNoCheckpointError`. */
export async function readCheckpointFile(path: string, ofVersion: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    if (namesVersion(path)) throw new VersionIsNoCheckpointError(path, ofVersion);
    throw asReadableFile(
      error,
      'checkpoint',
      path,
      'npm run train leaves checkpoints in output/; --checkpoint FILE names another one, from the page too.',
    );
  }
}

/**
 * Makes the checkpoint a run of this session, whatever run it is from; where it lies beside that run's log, what the log says of Test
 * comes with it. Answers with the run's id.
 */
export async function openCheckpointFile(
  session: Session,
  runs: RunStore,
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<string> {
  const { id, bestEpoch } = await session.model.openCheckpoint({ file: new Blob([bytes]), name: path });
  const home = dirname(path);
  const record = await readRecord(home).catch(() => undefined);
  if (record?.id === id) {
    const events = await diskRunStore(home).events(id);
    await runs.appendEvents(
      id,
      events.filter((event) => event.type === 'testEvaluated' && event.epoch === bestEpoch),
    );
  }
  return id;
}
