/** The commands that are killed: each with a fresh place for every round, and what must hold there after a kill and at the end. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import JSZip from 'jszip';
import { drawSample } from '../../../src/dataset/sample/drawSample.ts';
import { cliOrFail, setFlags, startCli, type CliOptions, type CliProcess, type Ended } from '../../unit/support/cli.ts';
import { startKaggleServer } from '../../unit/support/kaggleServer.ts';
import type { Round, Target } from './killing.ts';
import {
  currentIn,
  epochOf,
  filesBelow,
  folderDigest,
  outputFaults,
  sha256,
  tensorsDigest,
  versionsIn,
} from './wholeness.ts';

const model = 'PacerIDClassifier.mlpackage';
const sample = { seed: 3, classes: 6, train_per_class: 6, test_per_class: 2, size: 64 };

/** Of a run that takes a second or two: 36 small images. On wasm, whose numbers are the same in every run. */
function trainArgs(architecture: string, epochs: number, seed: number): string[] {
  const settings = {
    'data.source': 'sample',
    'data.img_size': 32,
    'data.batch_size': 8,
    ...Object.fromEntries(Object.entries(sample).map(([key, value]) => [`data.sample.${key}`, value])),
    'model.architecture': architecture,
    'model.pretrained': false,
    'training.device': 'wasm',
    'training.learning_rate': 0.003,
    'training.seed': seed,
  };
  const set = setFlags(settings);
  return ['train', '--epochs', String(epochs), ...set, '--json'];
}

/** Two minutes: on a busy computer everything takes longer. */
const startIn =
  (cwd: string, args: readonly string[], env: Record<string, string> = {}) =>
  (more: CliOptions = {}): CliProcess =>
    startCli(args, { cwd, timeout: 120_000, ...more, env: { ...env, ...more.env } });

/** Training: checkpoints, the record that points to them, the log, and at the end package and metrics. */
export function checkpoints(home: string, { architecture = 'tiny', epochs = 3 } = {}): Target {
  const args = [...trainArgs(architecture, epochs, 42), '--resume'];
  let expected: ReturnType<typeof outcomeOf> | null = null;
  const round = (): Round => {
    const place = mkdtempSync(join(home, 'train-'));
    const output = join(place, 'output');
    return {
      place,
      command: { start: startIn(place, args), folders: [output] },
      inspect: () => {
        const faults = outputFaults(output);
        const digest = folderDigest(join(output, model));
        if (digest !== null && digest !== expected?.package) faults.push('the package is neither absent nor whole');
        return { faults, left: leftOf(output) };
      },
      remember: () => (expected = outcomeOf(output)),
      compare: () => [...outputFaults(output), ...differences(outcomeOf(output), expected), ...litterIn(place)],
      dispose: () => rmSync(place, { recursive: true }),
    };
  };
  return { name: 'checkpoints', round: () => Promise.resolve(round()) };
}

/** All that a run leaves but times and its own name. */
function outcomeOf(output: string) {
  const metrics = JSON.parse(readFileSync(join(output, 'metrics.json'), 'utf8')) as {
    test: { accuracy: number; loss: number };
    epochs: { epoch: number; train: { loss: number }; validation: { loss: number } | null }[];
  };
  const names = readdirSync(output).filter((name) => /^checkpoint_\d+\.safetensors$/.test(name));
  return {
    checkpoints: names.sort().join(' '),
    latest: tensorsDigest(join(output, 'checkpoint_latest.safetensors')),
    best: tensorsDigest(join(output, 'checkpoint_best.safetensors')),
    latestEpoch: epochOf(join(output, 'checkpoint_latest.safetensors')),
    epochs: JSON.stringify(metrics.epochs.map(({ epoch }) => epoch)),
    curve: JSON.stringify(curveIn(join(output, 'events.ndjson'))),
    losses: JSON.stringify(metrics.epochs.map(({ train, validation }) => [train.loss, validation?.loss])),
    test: JSON.stringify([metrics.test.accuracy, metrics.test.loss]),
    package: folderDigest(join(output, model)),
  };
}

/** Epochs and steps of a log as its curve has them: what goes on from an epoch drops what came after it. */
function curveIn(log: string): string[] {
  interface Line {
    readonly type: string;
    readonly epoch: number;
    readonly step: number;
    readonly loss: number;
    readonly fromEpoch: number;
    readonly missed?: readonly unknown[];
  }
  let curve: { epoch: number; text: string }[] = [];
  for (const line of readFileSync(log, 'utf8').trimEnd().split('\n')) {
    const event = JSON.parse(line) as Line;
    const { type, epoch } = event;
    if (type === 'resumed') curve = curve.filter((point) => point.epoch <= event.fromEpoch);
    // On one computer nothing is lost that would have to be made good.
    if (event.missed !== undefined) curve.push({ epoch: 0, text: 'missed' });
    if (type === 'step') curve.push({ epoch, text: `${epoch}.${event.step}: ${event.loss}` });
    if (type === 'epochEnded') curve.push({ epoch, text: `${epoch}` });
  }
  return curve.map(({ text }) => text);
}

function leftOf(output: string): string {
  const names = existsSync(output) ? readdirSync(output) : [];
  const parts = names.some((name) => name.includes('.part')) ? ', a half-written file beside it' : '';
  const epochs = names.filter((name) => /^checkpoint_\d+\.safetensors$/.test(name)).length;
  if (!names.includes('run.json')) return `no run${parts}`;
  const { latestEpoch } = JSON.parse(readFileSync(join(output, 'run.json'), 'utf8')) as { latestEpoch: number | null };
  const ahead = epochs > (latestEpoch ?? 0) ? ', a checkpoint ahead of the record' : '';
  const copy = join(output, 'checkpoint_latest.safetensors');
  const behind = (existsSync(copy) ? epochOf(copy) : null) === latestEpoch ? '' : ', checkpoint_latest behind it';
  return `${latestEpoch === null ? 'a run before its first epoch' : 'a run'}${ahead}${behind}${parts}`;
}

/** A place with v1.0.0 made, current and synced, and a second model's run in `output`. Takes a few seconds. */
export async function prepareVersions(home: string, architecture = 'tiny'): Promise<VersionPlaces> {
  const made = mkdtempSync(join(home, 'models-'));
  const run = (args: readonly string[]): Promise<Ended> => cliOrFail(args, { cwd: made, timeout: 120_000 });
  await run(trainArgs(architecture, 1, 42));
  await run(['sync-model', '--version', 'v1.0.0']);
  await run(trainArgs(architecture, 1, 43));
  const beforeSecond = mkdtempSync(join(home, 'models-'));
  cpSync(made, beforeSecond, { recursive: true });
  await run(['sync-model', '--version', 'v1.1.0']);
  const both = [model, 'weights.safetensors', 'labels.txt', 'metrics.json'];
  const digestOf = (version: string): string =>
    both.map((name) => digestAt(join(made, 'models', 'versions', version, name))).join(' ');
  const [first, second] = [digestOf('v1.0.0'), digestOf('v1.1.0')];
  await run(['sync-model', '--version', 'v1.0.0']);
  return { beforeSecond, withBoth: made, first, second, both };
}

interface VersionPlaces {
  readonly beforeSecond: string;
  readonly withBoth: string;
  readonly first: string;
  readonly second: string;
  readonly both: readonly string[];
}

function digestAt(path: string): string {
  return path.endsWith('.mlpackage') ? (folderDigest(path) ?? 'none') : sha256(readFileSync(path));
}

/** `sync-model` makes v1.1.0 and syncs it, or, where it is there already, puts it in the place of v1.0.0. */
export function versions(home: string, places: VersionPlaces, which: 'versions' | 'sync'): Target {
  const from = which === 'versions' ? places.beforeSecond : places.withBoth;
  const packageOf = (digest: string): string => digest.split(' ')[0] ?? '';
  const [first, second] = [packageOf(places.first), packageOf(places.second)];
  const round = (): Round => {
    const place = mkdtempSync(join(home, `${which}-`));
    cpSync(from, place, { recursive: true });
    const [models, ios] = [join(place, 'models'), join(place, 'ios')];
    const folders =
      which === 'versions'
        ? [join(models, 'versions'), models, ios, join(models, 'versions', 'v1.1.0')]
        : [models, ios, join(ios, `.${model}.new`)];
    // A folder has to be there to be watched; a version's own is removed and made anew by the command, so not that one.
    const watched = folders.filter((folder) => existsSync(folder));
    const look = (): { faults: string[]; whole: string[]; left: string } => {
      const { whole, unfinished, faults } = versionsIn(models);
      const current = currentIn(models);
      if (current === null || !whole.includes(current)) faults.push(`current names ${current}, whole: ${whole.join()}`);
      if (!whole.includes('v1.0.0')) faults.push('v1.0.0 is gone');
      const there = folderDigest(join(ios, model));
      const beside = existsSync(ios) ? readdirSync(ios).filter((name) => name !== model) : [];
      const set = there === first ? 'the first' : there === second ? 'the second' : 'none';
      if (there !== null && set === 'none') faults.push('the package is a mixture');
      if (there === null && !beside.some((name) => folderDigest(join(ios, name)) === first))
        faults.push('the package is gone, and the former one is not beside it');
      const made = whole.includes('v1.1.0') ? 'whole' : unfinished.length > 0 ? 'unfinished' : 'absent';
      const staged =
        beside.length > 0 ? `, ${beside.map((name) => name.replace(model, '…')).join(' and ')} beside it` : '';
      return { faults, whole, left: `v1.1.0 ${made}, current ${current}, package: ${set}${staged}` };
    };
    return {
      place,
      command: { start: startIn(place, ['sync-model', '--version', 'v1.1.0']), folders: watched },
      inspect: look,
      compare: () => {
        const { faults } = look();
        const digest = places.both.map((name) => digestAt(join(models, 'versions', 'v1.1.0', name))).join(' ');
        if (digest !== places.second) faults.push('v1.1.0 has another content than the undisturbed one');
        if (currentIn(models) !== 'v1.1.0') faults.push(`current names ${currentIn(models)}`);
        if (folderDigest(join(ios, model)) !== second) faults.push('the package is not that of v1.1.0');
        return [...faults, ...litterIn(models), ...litterIn(ios)];
      },
      dispose: () => rmSync(place, { recursive: true }),
    };
  };
  return { name: which, round: () => Promise.resolve(round()) };
}

/** `download-data` from a slow server; `close` it afterwards. */
export async function downloads(home: string, seconds = 0.7): Promise<Target & { close(): Promise<void> }> {
  const zip = new JSZip();
  const expected = new Map<string, string>();
  for (const { path, png } of drawSample({ ...sample, train_per_class: 20, test_per_class: 6 })) {
    zip.file(`pacemakers/${path}`, png);
    expected.set(path, sha256(png));
  }
  const bytes = await zip.generateAsync({ type: 'uint8array', compression: 'STORE' });
  const user = { username: 'somebody', key: '0123456789abcdef' };
  const server = await startKaggleServer({
    zip: bytes,
    dataset: 'someone/pacemakers',
    ...user,
    bytesPerSecond: Math.ceil(bytes.length / seconds),
  });
  const env = { KAGGLE_API_ENDPOINT: server.endpoint, KAGGLE_USERNAME: user.username, KAGGLE_KEY: user.key };
  const args = ['download-data', '--set', 'data.kaggle_dataset=someone/pacemakers', '--keep-zip', '--json'];
  const round = (): Round => {
    const place = mkdtempSync(join(home, 'download-'));
    const raw = join(place, 'datasets', 'raw');
    const processed = join(place, 'datasets', 'processed');
    const faultsIn = (folder: string, mustBe: boolean): string[] =>
      (['Train', 'Test'] as const).flatMap((split) => {
        const there = filesBelow(join(folder, split));
        if (there.size === 0 && !mustBe) return [];
        const wanted = new Map([...expected].filter(([path]) => path.startsWith(`${split}/`)));
        const right = [...wanted].every(([path, hash]) => there.get(path.slice(split.length + 1)) === hash);
        return right && there.size === wanted.size ? [] : [`${folder}/${split} holds ${there.size} of ${wanted.size}`];
      });
    const look = (whole: boolean): { faults: string[]; left: string } => {
      const faults = [...faultsIn(raw, whole), ...faultsIn(processed, whole)];
      const has = (folder: string, name: string): boolean => filesBelow(join(folder, name)).size > 0;
      // Train without Test would be divided anew, and Test images trained with.
      for (const folder of [raw, processed])
        if (has(folder, 'Train') && !has(folder, 'Test')) faults.push(`${folder} has Train and no Test`);
      if (existsSync(join(raw, '.downloaded.json'))) faults.push(...faultsIn(raw, true));
      const archive = join(raw, 'pacemakers.zip');
      if (existsSync(archive) && sha256(readFileSync(archive)) !== sha256(bytes)) faults.push('the zip is not whole');
      if (whole && !existsSync(archive)) faults.push('the zip is gone');
      const names = existsSync(raw) ? readdirSync(raw) : [];
      const parts = ['pacemakers.zip.part', 'pacemakers.zip', '.extracting', 'Test', 'Train', '.downloaded.json'];
      const left = parts.filter((name) => names.includes(name));
      if (has(processed, 'Train')) left.push('links');
      return { faults, left: left.join(' + ') || 'nothing' };
    };
    return {
      place,
      command: { start: startIn(place, args, env), folders: [raw, processed] },
      inspect: () => look(false),
      compare: () => [...look(true).faults, ...litterIn(place)],
      dispose: () => rmSync(place, { recursive: true }),
    };
  };
  return { name: 'downloads', round: () => Promise.resolve(round()), close: () => server.close() };
}

/** What nobody needs any more once all has ended well. */
function litterIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.part(\.json)?$|\.(new|old)$|\.extracting$|\.lock$/.test(path))
    .map((path) => `left for good: ${path}`);
}

function differences(found: Readonly<Record<string, unknown>>, expected: Readonly<Record<string, unknown>> | null) {
  return Object.entries(found)
    .filter(([name, value]) => expected !== null && expected[name] !== value)
    .map(([name, value]) => `${name}: ${String(value)} instead of ${String(expected?.[name])}`);
}

/** Makes the folder that all of them work in. */
export function killHome(parent: string): string {
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, 'pacerid-kills-'));
}
