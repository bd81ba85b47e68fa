import { layerOf } from '../config/layer.ts';
import { mergeTrees, type ConfigTree } from '../config/tree.ts';
import { nameOf, splitWith } from '../dataset/members.ts';
import type { Dataset, Split } from '../dataset/types.ts';
import type { EvaluationReport } from '../evaluation/types.ts';
import { eventLine } from '../platform/node/runEventText.ts';
import { writeWhole } from '../platform/node/atomicWrite.ts';
import { memoryRunStore } from '../platform/node/runStore.ts';
import type { Checkpoint } from '../training/types.ts';
import { checkedCheckpoint } from '../workers/checkpointCommands.ts';
import { judge, networkOf } from '../workers/judge.ts';
import { checkpointPath, readCheckpointFile } from './checkpointFile.ts';
import type { Command } from './command.ts';
import { NothingToJudgeError, UsageError } from './errors.ts';
import { readFlags, refuseWords } from './flags.ts';
import { imageFlags, imagesOf } from './images.ts';
import { reporter } from './reporter.ts';
import { openSession, type Session } from './session.ts';
import { layerOfModel, settingsOf } from './settings.ts';
import { terminal, type Terminal } from './terminal.ts';
import { count, percent, table } from './words.ts';

export const command: Command = {
  summary: 'Judges a checkpoint on images that it never learnt from.',
  usage: `npm run evaluate -- [flags]

  --checkpoint FILE      default: checkpoint_best.safetensors in output.dir
  --data PATH            a zip or a folder, instead of data.train_dir and data.test_dir
  --add PATH             more images, as the training got them; as often as needed
  --no-cache             decoded images stay in memory, and none are kept for the next time
  --split NAME           test (the default), val or train: as the model's own training divided them
  --config FILE, --set path=value
                         where images lie and on what to run: data.train_dir, training.device, …
  --predictions FILE     a line an image as CSV: path, truth, prediction, each class's probability
  --json                 progress and report as lines of JSON; text goes to standard error
  --help`,
  run,
};

const splits = ['test', 'val', 'train'] as const;

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags('evaluate', args, {
    checkpoint: { type: 'string' },
    ...imageFlags,
    split: { type: 'string', default: 'test' },
    config: { type: 'string' },
    set: { type: 'string', multiple: true },
    predictions: { type: 'string' },
    json: { type: 'boolean' },
  });
  refuseWords('evaluate', positionals);
  const split = splits.find((name) => name === values.split);
  if (split === undefined)
    throw new UsageError(`--split is ${values.split}; it can be test, val or train.`, 'evaluate');

  const place = await settingsOf(values);
  const path = checkpointPath(values.checkpoint, place.config.output.dir);
  const bytes = await readCheckpointFile(
    path,
    `npm run versions -- show ${path} has its figures; to judge its model anew, name a checkpoint of its run.`,
  );
  const json = values.json === true;
  const out = terminal(json ? process.stderr : process.stdout);
  const write = (event: object): void => void (json && process.stdout.write(eventLine(event)));

  const { checkpoint } = checkedCheckpoint(bytes, path);
  const { config } = await settingsOf(values, asTrained(path, checkpoint));
  const images = await imagesOf(values, config, (line) => out.line(line), 'judge');
  const report = reporter(out, { verbose: true });
  const session = openSession({
    datasets: images.store,
    runs: memoryRunStore(),
    modelsDir: config.output.models_dir,
    onDataset: (event) => {
      write(event);
      report.importing(event);
    },
  });
  const dataset = await images.load(session, checkpoint.members ?? null);
  const chosen = choose(checkpoint, dataset, split);
  for (const line of plainWords(checkpoint, dataset, chosen)) out.line(line);
  if (chosen.indices.length === 0) throw new NothingToJudgeError(split, dataset.name);

  const result = await judged(session, checkpoint, dataset, chosen, config.training.device, (adapter, done, total) => {
    if (done === 0) out.line(`Device: ${adapter}.`);
    write({ type: 'modelProgress', what: 'evaluating', done, total });
    report.training({ at: Date.now(), type: 'evaluating', split, done, total });
  });
  out.status('');
  const { unknown, leftOut } = chosen;
  const same = dataset.hash === checkpoint.dataset.hash;
  write({
    type: 'evaluated',
    epoch: checkpoint.epoch,
    dataset: { name: dataset.name, hash: dataset.hash, asTrained: same, unknownImages: unknown, leftOut },
    report: result,
  });
  show(out, path, checkpoint, result);
  if (values.predictions !== undefined) {
    await writeWhole(values.predictions, new TextEncoder().encode(predictionLines(dataset, checkpoint, result)));
    out.line();
    out.line(`An image a line: ${values.predictions}`);
  }
  return 0;
}

/** The model's own settings, and its own data set where that is drawn. */
function asTrained(path: string, { config, dataset }: Checkpoint) {
  const { values } = layerOfModel(path, config as unknown as ConfigTree);
  const source: ConfigTree = dataset.synthetic ? { data: { source: 'sample' } } : {};
  return layerOf(path, mergeTrees(values, source));
}

interface Chosen {
  readonly split: Split;
  /** Into the data set's images, all of classes that the model knows. */
  readonly indices: readonly number[];
  /** Images of the data set that the model's training didn't know; null: it doesn't say what it knew. */
  readonly unknown: number | null;
  /** Images of the split whose class the model doesn't know. */
  readonly leftOut: number;
}

function choose(checkpoint: Checkpoint, dataset: Dataset, split: Split): Chosen {
  const { members } = checkpoint;
  const all = splitWith(dataset, checkpoint.config.data, members ?? null)[split];
  const known = members && new Set([...members.train, ...members.val, ...members.test]);
  const classes = new Set(checkpoint.dataset.classes);
  const indices = all.filter((i) => classes.has(dataset.classes[dataset.images[i]?.label ?? -1] ?? ''));
  return {
    split,
    indices,
    unknown: known ? dataset.images.filter(({ hash }) => !known.has(nameOf(hash))).length : null,
    leftOut: all.length - indices.length,
  };
}

function plainWords(checkpoint: Checkpoint, dataset: Dataset, { unknown, leftOut, split }: Chosen): string[] {
  const lines: string[] = [];
  const { name, hash } = checkpoint.dataset;
  if (hash !== dataset.hash) {
    lines.push(`This is not the data set that the model was trained with (${name}, ${hash.slice(0, 8)}).`);
    if (unknown === null)
      lines.push('The checkpoint doesn’t say which images it learnt from: some of them may be among these.');
    else if (unknown > 0)
      lines.push(
        `${count(unknown, 'image')} of ${dataset.images.length} ${unknown === 1 ? 'is' : 'are'} unknown to it` +
          `${split === 'test' ? '' : '; of them, too, the split was drawn'}.`,
      );
  }
  if (leftOut > 0) lines.push(`${count(leftOut, 'image')} left out: of classes that the model doesn’t know.`);
  return lines;
}

async function judged(
  session: Session,
  checkpoint: Checkpoint,
  dataset: Dataset,
  { indices, split }: Chosen,
  device: Parameters<Session['openEngine']>[0],
  onProgress: (adapter: string, done: number, total: number) => void,
): Promise<EvaluationReport> {
  const engine = await session.openEngine(device);
  try {
    onProgress(engine.adapter.label, 0, indices.length);
    const network = await networkOf(checkpoint, engine);
    const on = { dataset, source: session.cropsOf(dataset, checkpoint.config.data), indices, split };
    return await judge(network, checkpoint, on, {
      onProgress: (done, total) => onProgress(engine.adapter.label, done, total),
    });
  } finally {
    await engine.dispose();
  }
}

/** CSV with a head: nine digits tell any two float32 apart. */
function predictionLines(dataset: Dataset, { dataset: { classes } }: Checkpoint, report: EvaluationReport): string {
  const rows = report.indices.map((index, i) => {
    const image = dataset.images[index];
    const probabilities = [...report.probabilities.subarray(i * classes.length, (i + 1) * classes.length)];
    const predicted = classes[probabilities.indexOf(Math.max(...probabilities))] ?? '';
    const truth = dataset.classes[image?.label ?? -1] ?? '';
    return [image?.path ?? '', truth, predicted, ...probabilities.map((p) => String(Number(p.toPrecision(9))))];
  });
  const field = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [['path', 'truth', 'prediction', ...classes], ...rows].map((row) => `${row.map(field).join(',')}\n`).join('');
}

const WORST = 5;

function show(out: Terminal, path: string, checkpoint: Checkpoint, report: EvaluationReport): void {
  const { accuracy, accuracyInterval, n, loss, perClass, precision, recall } = report;
  const name = { test: 'Test', val: 'Validation', train: 'Train' }[report.split];
  const [low, high] = accuracyInterval;
  const share = (value: number | null): string => (value === null ? '–' : percent(value));
  const rows = perClass.map((row) => [row.label, share(row.precision), share(row.recall), String(row.support)]);
  out.line();
  out.line(`${path}, epoch ${checkpoint.epoch}, on ${name}:`);
  out.line(
    `${percent(accuracy)} of ${count(n, 'image')} right (95 % interval: ${percent(low)} to ${percent(high)}), loss ${loss.toFixed(4)}`,
  );
  const { temperature = 1 } = report;
  if (temperature !== 1)
    out.line(`Probabilities: of the logits divided by ${temperature.toPrecision(4)}, as fitted on validation`);
  out.line();
  const mean = ['Mean of the classes', percent(precision), percent(recall), String(n)];
  for (const line of table([['Class', 'precision', 'recall', 'images'], ...rows, mean])) out.line(line);
  const confusions = report.confusion
    .flatMap((row, truth) => row.map((times, predicted) => ({ times, truth, predicted })))
    .filter(({ times, truth, predicted }) => times > 0 && truth !== predicted)
    .sort((a, b) => b.times - a.times)
    .slice(0, WORST);
  if (confusions.length === 0) return;
  out.line();
  out.line('Most often mistaken:');
  for (const { times, truth, predicted } of confusions)
    out.line(`  ${times} × ${perClass[truth]?.label ?? ''} taken for ${perClass[predicted]?.label ?? ''}`);
}
