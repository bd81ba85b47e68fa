import type { Config } from '../config/schema.ts';
import { ImportCancelledError } from '../dataset/errors.ts';
import { diskFeatureStore } from '../platform/node/diskFeatureStore.ts';
import { diskRunStore, readRecord, repairRunFolder } from '../platform/node/diskRunStore.ts';
import { lockFolder } from '../platform/node/folderLock.ts';
import { finishSettingAside, putBack, setAside } from '../platform/node/previousRuns.ts';
import { eventLine } from '../platform/node/runEventText.ts';
import { StoppedBeforeFirstStepError } from '../training/errors.ts';
import type { WeightsProgress } from '../training/inputs.ts';
import { cachedViews } from '../training/settings.ts';
import type { FeatureStore, RunRecord, RunStore } from '../training/types.ts';
import { DownloadCancelledError } from '../weights/errors.ts';
import { cacheFolder } from './cacheFolder.mjs';
import type { Command } from './command.ts';
import { OtherDatasetError, UnfinishedRunError, UsageError } from './errors.ts';
import { finish, packageIsComing } from './finish.ts';
import { readFlags, refuseWords } from './flags.ts';
import { imageFlags, imagesOf } from './images.ts';
import { reporter } from './reporter.ts';
import { isDone, lengthened, resumable, type Resumable } from './resuming.ts';
import { projectRoot } from './root.ts';
import { openSession, type Session } from './session.ts';
import { settingFlags, settingsOf, type Settings } from './settings.ts';
import { onStopSignals, type Signals, type StopSignal } from './signals.ts';
import { terminal } from './terminal.ts';
import { labelsIn, startingPoint, type StartingPoint } from './weights.ts';
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
  --no-cache             decoded images, and what a frozen backbone gives for them, stay in memory;
                         else they are kept until npm run clear-cache removes them

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
run.json, events.ndjson, and at the end metrics.json and <output.model_name>.mlpackage with its
certificate: read back, run on images and compared with the trained model. A package that fails is
held back, the exit code is 1, and the last lines say how to write it all the same.
Ctrl-C ends after the step under way and keeps the epochs that are whole; --resume trains the one
that was cut off anew, so that the run becomes what it would have been. While the package is
compared, Ctrl-C ends the comparison, and the package is written without a certificate.
A second Ctrl-C ends at once.`,
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
  const lock = await lockFolder(dir, {
    name: 'train',
    doing: 'is training into',
    instead: 'train into another folder: --set output.dir=FOLDER.',
    // A machine that was taken away lets its lock fall silent; whoever resumes its run has nothing better to do than wait.
    ...(given.resume && {
      patience: (seconds) =>
        console.error(`A computer that holds ${dir} is silent: ${seconds} s to see whether it is gone …`),
    }),
  });
  try {
    await finishSettingAside(dir);
    // What a run.json says that can't be read makes room when asked to; without --fresh it is told.
    if (given.fresh) await readRecord(dir).catch(() => setAside(dir));
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
  const [found] = await runs.list();
  const old = given.resume ? await resumable(given.checkpoint, dir, runs, say) : null;
  if (given.resume && old === null) say(`There is nothing to resume in ${dir}: a new run starts.`);
  if (!given.resume && !given.fresh && found?.latestEpoch != null && found.state !== 'completed')
    throw new UnfinishedRunError(dir, found.latestEpoch, found.config.training.epochs);
  const config = old === null ? settings.config : lengthened(old.record, settings);

  const report = reporter(out, { verbose: config.training.verbose });
  const write = (event: object): void => void (json && process.stdout.write(eventLine(event)));
  const images = await imagesOf(given, config, say);
  let kept = old?.record.latestEpoch ?? null;
  const session = openSession({
    datasets: images.store,
    runs,
    features: featuresFor(config, given['no-cache'] === true),
    modelsDir: config.output.models_dir,
    onDataset: (event) => {
      write(event);
      report.importing(event);
    },
    onTrainer: ({ event }) => {
      if (event.type === 'checkpointSaved') kept = event.epoch;
      write(event);
      report.training(event);
    },
  });
  if (old !== null && isDone(old.record, config)) {
    await old.settle();
    // How long it trained stays what it was; name, author and precision may be other ones now.
    const { record } = old;
    await runs.write({ ...record, config: { ...record.config, output: config.output } });
    write({ at: Date.now(), type: 'finished', reason: 'completed', bestEpoch: record.bestEpoch });
    say(`The run in ${dir} is complete. Longer: --resume --epochs ${config.training.epochs + 10}. Anew: --fresh.`);
    const stopping = new AbortController();
    const signals = onStopSignals((name) => {
      stopping.abort();
      say(packageIsComing(name, dir));
    });
    const { signal } = stopping;
    try {
      return await finish(record.id, { dir, given, config, session, runs, store: images.store, out, signal });
    } finally {
      signals.release();
    }
  }

  let complete = false;
  const stopping = new AbortController();
  const signals = onStopSignals((signal) => {
    stopping.abort();
    say(complete ? packageIsComing(signal, dir) : trainingEnds(signal, kept));
    void session.dataset.cancelImport(null);
    void session.trainer.suspend(null);
  });
  try {
    const fetching: WeightsProgress = (done, total, more) =>
      report.training({ at: Date.now(), type: 'progress', what: 'weights', done, total, ...more });
    if (old === null && start === null && config.model.pretrained)
      await session.bringPretrained(config.model.architecture, fetching, stopping.signal);
    const work = { config, session, runs, images, say, signals };
    const runId = old === null ? await startAnew(dir, { ...work, given, start }) : await goOn(old, { ...work, report });
    const ended = await runs.read(runId);
    if (ended?.state !== 'completed') return stoppedAt(ended, dir, given, say, signals);
    complete = true;
    return await finish(runId, {
      dir,
      given,
      config,
      session,
      runs,
      store: images.store,
      out,
      signal: stopping.signal,
    });
  } catch (error) {
    // Only these are answers to a signal.
    const answers = [StoppedBeforeFirstStepError, ImportCancelledError, DownloadCancelledError];
    const stopped = answers.some((answer) => error instanceof answer);
    if (signals.exitCode === null || !stopped) throw error;
    out.status('');
    const [record] = await runs.list();
    // Another run that lies here, and hasn't made room yet, is not the one that was stopped.
    if (record?.id === old?.record.id) return stoppedAt(record, dir, given, say, signals);
    if (old === null) return stoppedAt(undefined, dir, given, say, signals);
    say('Stopped before anything was changed.');
    return signals.exitCode;
  } finally {
    out.status('');
    signals.release();
  }
}

/** Where there is no folder for it, the run does without. */
function featuresFor({ training }: Config, noCache: boolean): FeatureStore | null {
  if (noCache || cachedViews(training) === 0) return null;
  const folder = cacheFolder(projectRoot(), 'features');
  return folder === null ? null : diskFeatureStore(folder);
}

function trainingEnds(signal: StopSignal, kept: number | null): string {
  const what =
    kept === null ? 'no epoch is whole yet, so nothing of this run is kept' : `up to epoch ${kept} it is kept`;
  return `${signal}: the run ends after the step under way; ${what}. Once more ends at once.`;
}

interface Work {
  readonly config: Config;
  readonly session: Session;
  readonly runs: RunStore;
  readonly images: Awaited<ReturnType<typeof imagesOf>>;
  readonly say: (line: string) => void;
  readonly signals: Signals;
}

async function startAnew(
  dir: string,
  work: Work & { readonly given: Flags; readonly start: StartingPoint | null },
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
  const dataset = await images.load(session, start?.members ?? null);
  if (signals.exitCode !== null) throw new StoppedBeforeFirstStepError();
  const aside = await setAside(dir);
  if (aside !== null) say(`The run that was in ${dir} is now in ${aside}.`);
  try {
    return (await session.trainer.start({ config, datasetId: dataset.id, weightsId })).runId;
  } catch (error) {
    // Nothing was begun: what was here before is here again.
    if (aside !== null && (await runs.list()).length === 0) {
      await putBack(dir, aside);
      say(`It is in ${dir} again.`);
    }
    throw error;
  }
}

async function goOn(
  { record, settle }: Resumable,
  { config, session, runs, images, signals, report }: Work & { readonly report: ReturnType<typeof reporter> },
): Promise<string> {
  // Where nothing says that it started from a model, images were added without one. A checkpoint's file doesn't say.
  const [first, second = null] = [record.weightsId === null ? null : record.members, record.members];
  let dataset = await images.load(session, first);
  if (dataset.hash !== record.dataset.hash && images.grows) dataset = await images.load(session, second);
  if (dataset.hash !== record.dataset.hash) {
    const inWords = (one: { name: string; hash: string }): string => `${one.name} (${one.hash.slice(0, 8)})`;
    throw new OtherDatasetError(inWords(dataset), inWords(record.dataset));
  }
  if (signals.exitCode !== null) throw new StoppedBeforeFirstStepError();
  await settle();
  const { id } = record;
  const started = (await runs.events(id)).find((event) => event.type === 'runStarted');
  report.goingOn({ epochs: config.training.epochs, stepsPerEpoch: started?.stepsPerEpoch ?? 0 });
  await runs.write({ ...((await runs.read(id)) ?? record), config });
  return (await session.trainer.resume({ runId: id })).runId;
}

function stoppedAt(
  record: RunRecord | undefined,
  dir: string,
  given: Flags,
  say: (line: string) => void,
  signals: Signals,
): number {
  if (record?.latestEpoch == null) {
    say('Stopped before an epoch was whole: nothing of this run is kept.');
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
