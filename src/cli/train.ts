import { readFile } from 'node:fs/promises';
import type { Config } from '../config/schema.ts';
import { mergeTrees, treeOf, valueAt, type ConfigTree } from '../config/tree.ts';
import { valueInWords } from '../config/describe.ts';
import { diskRunStore, repairRunFolder } from '../platform/node/diskRunStore.ts';
import { lockFolder } from '../platform/node/folderLock.ts';
import { memoryDatasetStore } from '../platform/node/memoryDatasetStore.ts';
import { finishSettingAside, putBack, setAside } from '../platform/node/previousRuns.ts';
import { memoryRunStore } from '../platform/node/runStore.ts';
import { eventLine } from '../platform/node/runEventText.ts';
import { StoppedBeforeFirstStepError } from '../training/errors.ts';
import type { RunRecord, RunStore } from '../training/types.ts';
import { readCheckpointFile } from './checkpointFile.ts';
import type { Command } from './command.ts';
import { asReadableFile, OtherDatasetError, OtherSettingsError, UnfinishedRunError, UsageError } from './errors.ts';
import { readFlags, refuseWords } from './flags.ts';
import { imageFlags, imagesOf } from './images.ts';
import { reporter } from './reporter.ts';
import { summary, writeResults } from './results.ts';
import { openSession, type Session } from './session.ts';
import { settingFlags, settingsOf, type Settings } from './settings.ts';
import { onStopSignals, type Signals } from './signals.ts';
import { terminal } from './terminal.ts';
import { startingPoint, type StartingPoint } from './weights.ts';
import { quoted } from './words.ts';

const flags = {
  ...settingFlags,
  ...imageFlags,
  from: { type: 'string' },
  labels: { type: 'string' },
  resume: { type: 'boolean' },
  checkpoint: { type: 'string' },
  fresh: { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

export const command: Command = {
  summary: 'Trains a classifier, judges it on the Test images and writes the Core ML package.',
  usage: `npm run train -- [flags]

Settings (each default is in configs/base.yaml, with what it means)
  --config FILE          YAML with some of the settings; configs/sample.yaml is a quick look
  --epochs N             training.epochs
  --batch-size N         data.batch_size
  --learning-rate X      training.learning_rate
  --set path=value       any other setting, as often as needed: --set model.architecture=resnet50

Images
  --data PATH            a zip or a folder, instead of data.train_dir and data.test_dir
  --add PATH             more images, a zip or a folder, merged by class; as often as needed
  --no-cache             decoded images stay in memory; else they are kept for the next time, until
                         npm run clear-cache removes them

Start
  --from MODEL           weights to start from: a version (v1.0.0), a checkpoint, .safetensors, .pt;
                         its settings are taken over where no file or flag says otherwise
  --labels FILE          where the file doesn't say what the rows of its head mean: a label a line
  --resume               go on from the newest checkpoint in output.dir, if there is one
  --resume --checkpoint FILE
                         go on with a checkpoint from elsewhere (the page, …), on its own data set
  --fresh                start anew although output.dir holds a run that was cut off

Output
  --json                 events as lines of JSON on standard output, text on standard error
  --help

Into output.dir go checkpoint_<epoch>, checkpoint_latest and checkpoint_best (.safetensors),
run.json, events.ndjson, and at the end <output.model_name>.mlpackage and metrics.json.
Ctrl-C keeps a whole checkpoint; a second one ends at once.`,
  run,
};

type Flags = ReturnType<typeof parse>;

function parse(args: readonly string[]) {
  const { values, positionals } = readFlags('train', args, flags);
  refuseWords('train', positionals);
  if (values.resume && values.fresh) throw new UsageError('--resume and --fresh contradict each other.', 'train');
  if (values.checkpoint !== undefined && !values.resume)
    throw new UsageError(
      '--checkpoint goes with --resume; weights alone, to start a new run from, are --from.',
      'train',
    );
  if (values.labels !== undefined && values.from === undefined)
    throw new UsageError('--labels says what the file of --from means; there is no --from.', 'train');
  return values;
}

async function run(args: readonly string[]): Promise<number> {
  const given = parse(args);
  const start =
    given.from === undefined
      ? null
      : await startingPoint(given.from, (await settingsOf(given)).config.output.models_dir);
  const settings = await settingsOf(given, start?.configuration);
  const { dir } = settings.config.output;
  const lock = await lockFolder(dir);
  try {
    await finishSettingAside(dir);
    await repairRunFolder(dir);
    return await trainInto(dir, given, settings, start);
  } finally {
    await lock.release();
  }
}

async function trainInto(dir: string, given: Flags, settings: Settings, start: StartingPoint | null): Promise<number> {
  const json = given.json === true;
  const out = terminal(json ? process.stderr : process.stdout);
  const say = (line: string): void => out.line(line);
  const runs = diskRunStore(dir);
  if (given.checkpoint !== undefined) await takeOver(given.checkpoint, dir, runs, say);
  const [found] = await runs.list();
  const old = given.resume && found?.latestEpoch != null ? found : null;
  if (given.resume && old === null) say(`There is nothing to resume in ${dir}: a new run starts.`);
  if (!given.resume && !given.fresh && found?.latestEpoch != null && found.state !== 'completed')
    throw new UnfinishedRunError(dir, found.latestEpoch, found.config.training.epochs);
  const config = old === null ? settings.config : lengthened(old, settings);

  const report = reporter(out, { verbose: config.training.verbose });
  const write = (event: object): void => void (json && process.stdout.write(eventLine(event)));
  const images = await imagesOf(given, config, say);
  const session = openSession({
    datasets: images.store,
    runs,
    modelsDir: config.output.models_dir,
    onDataset: (event) => {
      write(event);
      report.importing(event);
    },
    onTrainer: ({ event }) => {
      write(event);
      report.training(event);
    },
  });
  if (old !== null && isDone(old, config)) {
    say(`The run in ${dir} is complete. Longer: --resume --epochs ${config.training.epochs + 10}. Anew: --fresh.`);
    for (const line of summary(await writeResults(session, runs, old.id, dir), dir)) say(line);
    return 0;
  }

  const signals = onStopSignals((signal) => {
    say(`${signal}: a checkpoint is being written; once more ends at once, without it.`);
    void session.dataset.cancelImport(null);
    void session.trainer.suspend(null);
  });
  try {
    const runId =
      old === null
        ? await startAnew(dir, { given, config, start, session, runs, images, say, signals })
        : await goOn(old, { config, session, runs, images, signals, report });
    const ended = await runs.read(runId);
    if (ended?.state !== 'completed') return stoppedAt(ended, dir, given, say, signals);
    out.status('Writing the package …');
    const results = await writeResults(session, runs, runId, dir);
    out.status('');
    for (const line of summary(results, dir)) say(line);
    return 0;
  } catch (error) {
    if (signals.exitCode === null) throw error;
    out.status('');
    const [record] = await runs.list();
    // A run that was here before and hasn't made room yet is not the one that was stopped.
    return stoppedAt(old === null && record?.id === found?.id ? undefined : record, dir, given, say, signals);
  } finally {
    out.status('');
    signals.release();
  }
}

/** A checkpoint made elsewhere becomes the run of this folder; what was in it is set aside. */
async function takeOver(path: string, dir: string, runs: RunStore, say: (line: string) => void): Promise<void> {
  const bytes = await readCheckpointFile(path);
  const open = (into: RunStore) => {
    const { model } = openSession({ datasets: memoryDatasetStore(), runs: into, modelsDir: '' });
    return model.openCheckpoint({ file: new Blob([bytes]), name: path });
  };
  // Looked at before anything makes room for it.
  await open(memoryRunStore());
  const aside = await setAside(dir);
  if (aside !== null) say(`The run that was in ${dir} is now in ${aside}.`);
  await open(runs);
}

interface Work {
  readonly config: Config;
  readonly session: Session;
  readonly runs: RunStore;
  readonly images: Awaited<ReturnType<typeof imagesOf>>;
  readonly signals: Signals;
}

async function startAnew(
  dir: string,
  work: Work & { readonly given: Flags; readonly start: StartingPoint | null; readonly say: (line: string) => void },
): Promise<string> {
  const { given, start, session, runs, images, say, signals } = work;
  let { config } = work;
  let weightsId: string | null = null;
  if (start !== null) {
    const labels = given.labels === undefined ? undefined : await labelsIn(given.labels);
    const sure = start.configuration !== null || (await settingsOf(given)).named.includes('model.architecture');
    const kept = await session.model.importWeights({
      file: new Blob([start.bytes]),
      name: start.name,
      architecture: sure ? config.model.architecture : null,
      ...(labels && { labels }),
    });
    weightsId = kept.id;
    config = { ...config, model: { ...config.model, architecture: kept.architecture } };
  }
  const dataset = await images.load(session);
  if (signals.exitCode !== null) throw new StoppedBeforeFirstStepError();
  const aside = await setAside(dir);
  if (aside !== null) say(`The run that was in ${dir} is now in ${aside}.`);
  try {
    return (await session.trainer.start({ config, datasetId: dataset.id, weightsId })).runId;
  } catch (error) {
    // Nothing was begun: what was here before is here again.
    if (aside !== null && (await runs.list()).length === 0) await putBack(dir, aside);
    throw error;
  }
}

async function goOn(old: RunRecord, work: Work & { readonly report: ReturnType<typeof reporter> }): Promise<string> {
  const { config, session, runs, images, signals, report } = work;
  const dataset = await images.load(session);
  if (dataset.hash !== old.dataset.hash) {
    const inWords = (one: { name: string; hash: string }): string => `${one.name} (${one.hash.slice(0, 8)})`;
    throw new OtherDatasetError(inWords(dataset), inWords(old.dataset));
  }
  if (signals.exitCode !== null) return old.id;
  const started = (await runs.events(old.id)).find((event) => event.type === 'runStarted');
  report.goingOn({ epochs: config.training.epochs, stepsPerEpoch: started?.stepsPerEpoch ?? 0 });
  await runs.write({ ...old, config });
  return (await session.trainer.resume({ runId: old.id })).runId;
}

/** Settings that may differ when a run goes on: how long, on what, and where its files lie. */
const mayDiffer =
  /^(training\.(epochs|device|verbose)|data\.(num_workers|kaggle_dataset|raw_dir|train_dir|test_dir)|output\..+)$/;

/**
 * The stored configuration with what may differ and was named. A file's epochs make a run longer, never shorter: it may have been
 * started with `--epochs`. Throws `OtherSettingsError`.
 */
function lengthened({ config }: RunRecord, { config: wanted, named, byFlag }: Settings): Config {
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

function isDone({ state, latestEpoch }: RunRecord, { training }: Config): boolean {
  return state === 'completed' && (latestEpoch ?? 0) >= training.epochs;
}

function stoppedAt(
  record: RunRecord | undefined,
  dir: string,
  given: Flags,
  say: (line: string) => void,
  signals: Signals,
): number {
  if (record?.latestEpoch == null) {
    say('Stopped before anything had been learnt: nothing is kept.');
  } else {
    const { latestEpoch, config } = record;
    say(
      `Stopped. Kept: ${dir}/checkpoint_latest.safetensors, up to epoch ${latestEpoch} of ${config.training.epochs}; Test was not looked at.`,
    );
    say(`Go on: npm run train -- --resume${sameCommand(given)}`);
  }
  return signals.exitCode ?? 1;
}

/** The flags that a run is gone on with: those it was started with. */
function sameCommand({ config, epochs, data, add, set, ...flags }: Flags): string {
  const given = { config, epochs, 'batch-size': flags['batch-size'], 'learning-rate': flags['learning-rate'], data };
  const words = [
    ...Object.entries(given).flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag}`, value])),
    ...(add ?? []).flatMap((path) => ['--add', path]),
    ...(flags['no-cache'] ? ['--no-cache'] : []),
    ...(set ?? []).flatMap((pair) => ['--set', pair]),
  ];
  return words.map((word) => ` ${quoted(word)}`).join('');
}

async function labelsIn(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw asReadableFile(error, 'file of labels', path, 'Write one label a line, in the order of the model’s outputs.');
  });
  return text.split(/\r?\n/).filter((line) => line.trim() !== '');
}
