import type { Config } from '../config/schema.ts';
import { valueInWords } from '../config/describe.ts';
import { mergeTrees, treeOf, valueAt, type ConfigTree } from '../config/tree.ts';
import { memoryDatasetStore } from '../platform/node/memoryDatasetStore.ts';
import { putBack, setAside } from '../platform/node/previousRuns.ts';
import { memoryRunStore } from '../platform/node/runStore.ts';
import type { RunRecord, RunStore } from '../training/types.ts';
import { readCheckpointFile } from './checkpointFile.ts';
import { OtherSettingsError } from './errors.ts';
import { openSession } from './session.ts';
import type { Settings } from './settings.ts';

/** A run that can be gone on with. */
export interface Resumable {
  readonly record: RunRecord;
  /** Makes it the run of the folder, if it isn't yet; what was there is set aside. */
  settle(): Promise<void>;
}

/**
 * The run of `dir`, or, where `checkpoint` names a file, that of the file, which is only looked at until `settle`. A folder that holds the
 * file's run at its epoch or a later one goes on with that: the same command again, after an interruption, loses nothing. Null: there is
 * nothing to go on with. Throws as opening a checkpoint does.
 */
export async function resumable(
  checkpoint: string | undefined,
  dir: string,
  runs: RunStore,
  say: (line: string) => void,
): Promise<Resumable | null> {
  const [found] = await runs.list();
  const here = found?.latestEpoch == null ? null : { record: found, settle: () => Promise.resolve() };
  if (checkpoint === undefined) return here;
  const bytes = await readCheckpointFile(checkpoint, `--from ${checkpoint} starts a new run from its weights.`);
  const open = (into: RunStore) => {
    const { model } = openSession({ datasets: memoryDatasetStore(), runs: into, modelsDir: '' });
    return model.openCheckpoint({ file: new Blob([bytes]), name: checkpoint });
  };
  const outside = memoryRunStore();
  await open(outside);
  const record = (await outside.list())[0] as RunRecord;
  if (here?.record.id === record.id && (here.record.latestEpoch ?? 0) >= (record.latestEpoch ?? 0)) {
    say(
      `${dir} holds this run already, up to epoch ${here.record.latestEpoch}: that is gone on with. To start again from ` +
        `${checkpoint}, name another folder: --set output.dir=FOLDER.`,
    );
    return here;
  }
  return {
    record,
    settle: async () => {
      const aside = await setAside(dir);
      if (aside !== null) say(`The run that was in ${dir} is now in ${aside}.`);
      try {
        await open(runs);
      } catch (error) {
        if (aside !== null) await putBack(dir, aside);
        throw error;
      }
    },
  };
}

/** Settings that may differ when a run goes on: how long, on what, and where its files lie. */
const mayDiffer =
  /^(training\.(epochs|device|verbose)|data\.(num_workers|kaggle_dataset|raw_dir|train_dir|test_dir)|output\..+)$/;

/**
 * The stored configuration with what may differ and was named. A file's epochs make a run longer, never shorter: it may have been
 * started with `--epochs`. Throws `OtherSettingsError`.
 */
export function lengthened({ config }: RunRecord, { config: wanted, named, byFlag }: Settings): Config {
  const stored = config as unknown as ConfigTree;
  const asked = wanted as unknown as ConfigTree;
  const differing = named.filter(
    (path) =>
      JSON.stringify(valueAt(stored, path)) !== JSON.stringify(valueAt(asked, path)) &&
      !(path === 'training.epochs' && !byFlag.includes(path) && wanted.training.epochs < config.training.epochs),
  );
  const refused = differing.filter((path) => !mayDiffer.test(path));
  if (refused.length > 0) {
    const inWords = (path: string): string =>
      `${path} was ${valueInWords(valueAt(stored, path))}, now ${valueInWords(valueAt(asked, path))}`;
    throw new OtherSettingsError(refused.map(inWords));
  }
  const merged = [...differing, 'output.dir'].reduce(
    (tree, path) => mergeTrees(tree, treeOf(path, valueAt(asked, path) ?? null)),
    stored,
  );
  return merged as unknown as Config;
}

export function isDone({ state, latestEpoch }: RunRecord, { training }: Config): boolean {
  return state === 'completed' && (latestEpoch ?? 0) >= training.epochs;
}
