import { stat, rm } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import type { Config } from '../config/schema.ts';
import { lockFolder } from '../platform/node/folderLock.ts';
import { kaggleCredentials } from '../platform/node/kaggle/credentials.ts';
import { download } from '../platform/node/kaggle/download.ts';
import { datasetPage, DownloadStoppedError } from '../platform/node/kaggle/errors.ts';
import { dropPart, pathsOf, readPin, type Paths } from '../platform/node/kaggle/part.ts';
import type { Command } from './command.ts';
import { UsageError } from './errors.ts';
import { readFlags, refuseWords } from './flags.ts';
import { classTable, countClasses } from './kaggle/classes.ts';
import { ExistingDataError, LayOutStoppedError } from './kaggle/errors.ts';
import {
  dropUnfinished,
  filledFolders,
  laidOut,
  moveIn,
  unpack,
  waitingIn,
  type Folder,
  type Receipt,
} from './kaggle/layOut.ts';
import { checkPlace, pointTo, unpoint, type Pointing } from './kaggle/links.ts';
import { transfer } from './kaggle/transfer.ts';
import { settingsOf } from './settings.ts';
import { onStopSignals } from './signals.ts';

const name = 'download-data';

const flags = {
  config: { type: 'string' },
  set: { type: 'string', multiple: true },
  force: { type: 'boolean' },
  'keep-zip': { type: 'boolean' },
  copy: { type: 'boolean' },
  json: { type: 'boolean' },
  tries: { type: 'string', default: '5' },
  'first-wait': { type: 'string', default: '1' },
  'longest-wait': { type: 'string', default: '120' },
  timeout: { type: 'string', default: '60' },
} as const;

const usage = `npm run download-data [-- FLAGS]

  --config FILE         settings over configs/base.yaml
  --set PATH=VALUE      one setting, such as data.raw_dir=/data/raw; may be given again
  --force               fetch again, and replace what is there
  --keep-zip            keep the zip when its images are laid out
  --copy                copies in data.train_dir and data.test_dir where links to data.raw_dir would do
  --json                events as lines of JSON
  --tries N             failures in a row before it gives up (5)
  --first-wait SECONDS  before the second try, doubled for each further one (1)
  --longest-wait S      waits at most so long, also where Kaggle asks for it (120)
  --timeout SECONDS     a connection without a byte for so long counts as broken (60)

Settings: data.kaggle_dataset, data.raw_dir, data.train_dir, data.test_dir.
Credentials: KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY, or ~/.kaggle/access_token, or kaggle.json in
KAGGLE_CONFIG_DIR or ~/.kaggle. KAGGLE_API_ENDPOINT leads to another host than www.kaggle.com.
The same command goes on where a broken, stopped or killed one was.`;

interface Plan {
  readonly dataset: string;
  readonly rawDir: string;
  /** Where the trainer reads: links to `rawDir`'s folders. */
  readonly places: Readonly<Record<Folder, string>>;
  readonly paths: Paths;
  readonly force: boolean;
  readonly keepZip: boolean;
  readonly copy: boolean;
  readonly json: boolean;
  readonly signal: AbortSignal;
  say(type: 'notice' | 'warning', text: string): void;
}

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags(name, args, flags);
  refuseWords(name, positionals);
  const stop = new AbortController();
  const json = values.json === true;
  const plan: Plan = {
    ...placesOf((await settingsOf(values)).config.data),
    force: values.force === true,
    keepZip: values['keep-zip'] === true,
    copy: values.copy === true,
    json,
    signal: stop.signal,
    say: (type, text) => {
      if (json) console.log(JSON.stringify({ type, text }));
      else if (type === 'warning') console.error(`Warning: ${text}`);
      else console.log(text);
    },
  };
  const patience = {
    tries: numberOf(values.tries, 'tries', 1),
    firstWait: numberOf(values['first-wait'], 'first-wait', 0),
    longestWait: numberOf(values['longest-wait'], 'longest-wait', 0),
    stall: numberOf(values.timeout, 'timeout', 0.001),
  };
  const lock = await lockFolder(plan.rawDir, {
    name: 'download',
    doing: 'is fetching images into',
    instead: 'fetch them into another folder: --set data.raw_dir=FOLDER.',
  });
  const signals = onStopSignals(() => stop.abort());
  try {
    const receipt = (await finished(plan)) ?? (await fetchAndLayOut(plan, patience));
    await report(plan, receipt, await pointAll(plan, receipt));
    return 0;
  } catch (error) {
    if (!(error instanceof DownloadStoppedError || error instanceof LayOutStoppedError)) throw error;
    console.error(`${error.message}\nKept: ${error.kept}\nWhat to do: ${error.remedy}`);
    return signals.exitCode ?? 1;
  } finally {
    signals.release();
    await lock.release();
  }
}

/** What an earlier run has done to the end, or nearly. Null: there is something to fetch or to unpack. */
async function finished(plan: Plan): Promise<Receipt | null> {
  const { dataset, rawDir, force, say } = plan;
  if (force) return null;
  const unpacked = await waitingIn(rawDir);
  if (unpacked?.dataset === dataset) {
    say('notice', 'Finishing what an earlier run has unpacked.');
    return moveAll(plan, unpacked);
  }
  const receipt = await laidOut(rawDir);
  if (receipt?.dataset === dataset) {
    await dropUnfinished(rawDir);
    say('notice', `${dataset} is laid out already in ${shown(rawDir)}; --force fetches it again.`);
    return receipt;
  }
  if (receipt !== null) throw new ExistingDataError(`${shown(rawDir)} holds another data set, ${receipt.dataset}`);
  const [filled] = await filledFolders(rawDir);
  if (filled !== undefined) throw new ExistingDataError(`${shown(join(rawDir, filled))} is there already`);
  for (const folder of ['Train', 'Test'] as const) await checkPlace(plan.places[folder], join(rawDir, folder));
  return null;
}

async function fetchAndLayOut(
  plan: Plan,
  patience: { tries: number; firstWait: number; longestWait: number; stall: number },
): Promise<Receipt> {
  const { dataset, rawDir, paths, force, json, signal, say } = plan;
  if (!force && (await stat(paths.zip).catch(() => null))?.isFile() === true) {
    say('notice', `${shown(paths.zip)} is there already; --force fetches it again.`);
  } else {
    const credentials = await kaggleCredentials();
    for (const warning of credentials.warnings) say('warning', warning);
    say('notice', `Fetching ${datasetPage(dataset)} with the credentials from ${credentials.source}.`);
    const progress = transfer('download', basename(paths.zip), json);
    try {
      await download({
        ...patience,
        dataset,
        credentials,
        zip: paths.zip,
        signal,
        onProgress: progress.advance,
        onNotice: progress.notice,
      });
    } finally {
      progress.end();
    }
  }
  const progress = transfer('unpack', 'Unpacking', json);
  const { receipt, skipped } = await unpack(paths.zip, rawDir, dataset, {
    signal,
    onProgress: progress.advance,
  }).finally(progress.end);
  if (skipped.length > 0) {
    const examples = skipped.slice(0, 3).map(({ path, reason }) => `${path} (${reason})`);
    say(
      'warning',
      `${skipped.length} files of the zip were left out: ${examples.join(', ')}${skipped.length > 3 ? ', …' : ''}`,
    );
  }
  return moveAll(plan, receipt);
}

async function moveAll({ rawDir, places, paths, keepZip }: Plan, receipt: Receipt): Promise<Receipt> {
  for (const folder of ['Train', 'Val', 'Test'] as const) await unpoint(places[folder], join(rawDir, folder));
  await moveIn(rawDir, receipt);
  // A zip that somebody else has put there has no such file beside it, and stays.
  const ours = await readPin(paths.zipPin);
  const size = (await stat(paths.zip).catch(() => null))?.size;
  if (!keepZip && ours !== null && (ours.size === null || ours.size === size)) {
    await rm(paths.zip, { force: true });
    await rm(paths.zipPin, { force: true });
  }
  await dropPart(paths);
  return receipt;
}

async function pointAll(plan: Plan, receipt: Receipt): Promise<Partial<Record<Folder, Pointing>>> {
  const pointings: Partial<Record<Folder, Pointing>> = {};
  for (const folder of receipt.folders) {
    const place = plan.places[folder];
    pointings[folder] = await pointTo(place, join(plan.rawDir, folder), plan);
    if (pointings[folder] === 'copy' && !plan.copy) {
      plan.say(
        'warning',
        `Links do not work in ${shown(dirname(place))}: ${shown(place)} is a copy of ${shown(plan.rawDir)}.`,
      );
    }
  }
  return pointings;
}

async function report(
  { dataset, rawDir, places, json, say }: Plan,
  { folders }: Receipt,
  pointings: Partial<Record<Folder, Pointing>>,
): Promise<void> {
  const classes = await countClasses(rawDir, folders);
  if (json) {
    const processed = Object.fromEntries(
      folders.map((folder) => [folder, { path: places[folder], as: pointings[folder] }]),
    );
    console.log(JSON.stringify({ type: 'data', dataset, rawDir, processed, classes }));
    return;
  }
  console.log(`\n${classTable(classes, folders)}\n`);
  for (const folder of folders) {
    if (pointings[folder] === 'same') console.log(shown(places[folder]));
    else
      console.log(
        `${shown(places[folder])} -> ${shown(join(rawDir, folder))}${pointings[folder] === 'copy' ? ' (copy)' : ''}`,
      );
  }
  if (!folders.includes('Test')) say('notice', 'No Test folder in it: data.test_split is drawn from Train.');
  console.log('\nNext: npm run train');
}

function placesOf(data: Config['data']): Pick<Plan, 'dataset' | 'rawDir' | 'places' | 'paths'> {
  const rawDir = resolve(data.raw_dir);
  const train = resolve(data.train_dir);
  const slug = data.kaggle_dataset.split('/')[1] ?? data.kaggle_dataset;
  return {
    dataset: data.kaggle_dataset,
    rawDir,
    // The trainer looks for Val beside Train.
    places: { Train: train, Test: resolve(data.test_dir), Val: join(dirname(train), 'Val') },
    paths: pathsOf(join(rawDir, `${slug}.zip`)),
  };
}

function numberOf(text: string, flag: string, least: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= least) return value;
  throw new UsageError(`--${flag} is ${text === '' ? 'empty' : `“${text}”`}; a number from ${least} is meant.`, name);
}

/** As the user would write it: relative where that is shorter. */
function shown(path: string): string {
  const short = relative(process.cwd(), path);
  return short !== '' && short.length < path.length ? short : path;
}

export const command: Command = {
  summary: 'Fetches the data set from Kaggle and lays it out for training.',
  usage,
  run,
};
