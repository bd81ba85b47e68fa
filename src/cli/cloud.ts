import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { isAbsolute, relative, sep } from 'node:path';
import { CloudNameError, ConfigNotTakenError, NoBucketError, NoCloudProgramError } from './cloudErrors.ts';
import type { Command } from './command.ts';
import { FileMissingError, UsageError } from './errors.ts';
import { readFlags } from './flags.ts';
import { packagesInWords } from './packageWords.ts';
import { projectRoot } from './root.ts';
import { quoted } from './words.ts';
import { settingsOf } from './settings.ts';

/** Where cloud/train.sky.yaml mounts the bucket. */
const uploaded = '/pacerid/data';

const defaultConfig = 'configs/base.yaml';

export const command: Command = {
  summary:
    'Trains on a rented GPU, through SkyPilot. Each verb is one command, printed before it is run (docs/cloud.md).',
  usage: `npm run cloud -- VERB [flags] [-- flags for the program that is called]

  upload [PATH]   a folder or zip of images into the bucket; default datasets/processed
  launch          trains there; the same name again goes on with the same run
  status, logs    of the run
  download        checkpoints, metrics and the package of the run, and what its certificate says
  terminate       ends it
  ssh             a shell on the machine; only with launch --cluster

  --name NAME     of the run, and of its machine (default pacerid)
  --bucket NAME   or s3://NAME, gs://NAME: holds data and checkpoints; default: the variable PACERID_BUCKET
  --cluster       launch, status, logs, terminate: a machine of your own that keeps running for half an hour after the training,
                  instead of a managed job that survives the loss of its spot machine
  --config FILE   launch: the configuration (default ${defaultConfig})
  --data PATH     launch: the images, as the machine sees them (default ${uploaded}); '' for data.source: sample
  --train=FLAGS   launch: further flags of npm run train, in quotes: --train='--epochs 30 --batch-size 64'
  --to DIR        download: where to (default output/cloud/NAME)
  --dry-run       print the command, do nothing`,

  async run(args) {
    const end = args.indexOf('--');
    const own = end < 0 ? args : args.slice(0, end);
    const extra = end < 0 ? [] : args.slice(end + 1);
    const { values, positionals } = readFlags('cloud', own, {
      name: { type: 'string', default: 'pacerid' },
      bucket: { type: 'string' },
      cluster: { type: 'boolean', default: false },
      config: { type: 'string' },
      data: { type: 'string', default: uploaded },
      train: { type: 'string', default: '' },
      to: { type: 'string' },
      'dry-run': { type: 'boolean', default: false },
    });
    const [verb = '', ...words] = positionals;
    if (!/^[a-z]([a-z0-9-]*[a-z0-9])?$/.test(values.name)) {
      throw new CloudNameError('run', values.name, 'Use small letters, digits and hyphens, a letter first.');
    }
    const bucket = values.bucket ?? process.env.PACERID_BUCKET;
    const config = verb === 'launch' && values.config !== undefined ? await configTaken(values.config) : defaultConfig;
    const line = commandOf(verb, { ...values, config, bucket, extra, words });
    console.log(`$ ${line.map(quoted).join(' ')}`);
    // gcloud copies only into a folder that is there.
    if (verb === 'download' && !values['dry-run']) mkdirSync(targetOf(values), { recursive: true });
    if (values['dry-run']) return 0;
    const code = await run(line, verb === 'launch' ? projectRoot() : process.cwd());
    // Neither program takes away what the run has taken away: an earlier package may lie beside later figures.
    if (verb === 'download' && code === 0) for (const one of await packagesInWords(targetOf(values))) console.log(one);
    return code;
  },
};

interface Settings {
  readonly name: string;
  readonly bucket: string | undefined;
  readonly cluster: boolean;
  readonly config: string;
  readonly data: string;
  readonly train: string;
  readonly to?: string | undefined;
  /** For the program that is called. */
  readonly extra: readonly string[];
  readonly words: readonly string[];
}

/** The program and its arguments. */
function commandOf(verb: string, settings: Settings): string[] {
  const { name, cluster, extra } = settings;
  if (verb !== 'upload' && settings.words.length > 0)
    throw new UsageError(`“${settings.words[0]}” belongs to no flag.`, 'cloud');
  switch (verb) {
    case 'launch':
      return launch(settings);
    case 'upload':
      return upload(settings);
    case 'download':
      return copy(settings, [`${bucketOf(verb, settings)}/runs/${name}`, targetOf(settings)]);
    case 'status':
      return cluster ? ['sky', 'status', name, ...extra] : ['sky', 'jobs', 'queue', ...extra];
    case 'logs':
      return cluster ? ['sky', 'logs', name, ...extra] : ['sky', 'jobs', 'logs', '--name', name, ...extra];
    case 'terminate':
      // Graceful: what the trainer has written reaches the bucket first.
      return cluster
        ? ['sky', 'down', '--graceful', name, ...extra]
        : ['sky', 'jobs', 'cancel', '--graceful', '--name', name, ...extra];
    case 'ssh':
      return ['ssh', name, ...extra];
    default:
      throw new UsageError(verb === '' ? 'What shall be done?' : `There is no “${verb}” for the cloud.`, 'cloud');
  }
}

/**
 * The configuration as the machine will find it: relative to the repository, `/`-separated. Throws before anything costs money:
 * `FileMissingError`, `ConfigError`, `ConfigNotTakenError`.
 */
async function configTaken(path: string): Promise<string> {
  await settingsOf({ config: path });
  const root = realpathSync(projectRoot());
  const inside = relative(root, realpathSync(path));
  if (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside))
    throw new ConfigNotTakenError(path, `it lies outside ${root}`);
  const name = inside.replaceAll(sep, '/');
  // 0: ignored, 1: not; anything else: no git, or no repository of it, and then nothing is ignored here.
  const { status } = spawnSync('git', ['check-ignore', '--quiet', name], { cwd: root, stdio: 'ignore' });
  if (status === 0) throw new ConfigNotTakenError(path, 'git ignores it');
  return name;
}

/** Where `download` copies to. */
function targetOf({ to, name }: Pick<Settings, 'to' | 'name'>): string {
  return to ?? `output/cloud/${name}`;
}

function launch(settings: Settings): string[] {
  const { name, cluster, config, data, train, extra } = settings;
  const env = { PACERID_BUCKET: bucketOf('launch', settings), RUN: name, CONFIG: config, DATA: data, EXTRA: train };
  const how = cluster
    ? ['launch', '--cluster', name, '--down', '--idle-minutes-to-autostop', '30']
    : ['jobs', 'launch', '--name', name];
  const variables = Object.entries(env).flatMap(([key, value]) => ['--env', `${key}=${value}`]);
  return ['sky', ...how, ...variables, ...extra, 'cloud/train.sky.yaml'];
}

function upload(settings: Settings): string[] {
  const [path = 'datasets/processed', more] = settings.words;
  if (more !== undefined) throw new UsageError(`One folder or zip at a time: “${more}” is a second one.`, 'cloud');
  const to = `${bucketOf('upload', settings)}/data`;
  if (!existsSync(path)) {
    throw new FileMissingError('folder or zip', path, 'Fetch the data set with npm run download-data, or name yours.');
  }
  if (statSync(path).isDirectory()) return copy(settings, [path, to]);
  const file = [path, `${to}/`];
  return to.startsWith('s3:')
    ? ['aws', 's3', 'cp', ...file, ...settings.extra]
    : ['gcloud', 'storage', 'cp', ...file, ...settings.extra];
}

/** Copies what is not there yet. */
function copy({ extra }: Settings, fromTo: readonly [string, string]): string[] {
  const onGoogle = fromTo.some((path) => path.startsWith('gs:'));
  // The original's datasets/processed holds links, which aws follows by itself.
  const program = onGoogle
    ? ['gcloud', 'storage', 'rsync', '--recursive', '--no-ignore-symlinks']
    : ['aws', 's3', 'sync'];
  return [...program, ...fromTo, ...extra];
}

/** `s3://NAME` or `gs://NAME`. */
function bucketOf(verb: string, { bucket }: Settings): string {
  if (bucket === undefined || bucket === '') throw new NoBucketError(verb);
  const [, scheme = 's3', name] = /^(?:(s3|gs):\/\/)?([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])\/?$/.exec(bucket) ?? [];
  if (name === undefined) {
    throw new CloudNameError(
      'bucket',
      bucket,
      'Name it as NAME, s3://NAME or gs://NAME: 3 to 63 small letters, digits, hyphens and dots.',
    );
  }
  return `${scheme}://${name}`;
}

/** Runs it on this terminal. Answers with its exit code; 128 + the signal's number where a signal ended it, as a shell does. */
function run([program = '', ...args]: readonly string[], cwd: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: 'inherit' });
    // The terminal sends Ctrl+C to both: the program decides what it means, and this process waits for it.
    const wait = (): void => undefined;
    const hand = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on('SIGINT', wait).on('SIGTERM', hand);
    child.on('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' ? new NoCloudProgramError(program) : error);
    });
    child.on('close', (code, signal) => {
      process.off('SIGINT', wait).off('SIGTERM', hand);
      resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']);
    });
  });
}
