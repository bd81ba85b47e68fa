/** Next month's images into last month's model, through the real commands: v1.0.0 without one class, v1.1.0 with it, and from scratch. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import JSZip from 'jszip';
import { cliOrFail, type Ended, type JsonLine } from '../../unit/support/cli.ts';
import { writeSampleZip, type SampleWanted } from './sampleZip.ts';
import { ofType, paired, predictions, reportOf, epochsOf, type EpochLine, type Paired } from './retrained.ts';
import { readSafetensorsByHand } from './wholeness.ts';

/** In the middle of the alphabet: the classes behind it move on by one. */
export const NEW_CLASS = 'MDT - Cedar';

export interface Plan {
  /** Of the first zip, all classes but `NEW_CLASS`; that one comes in the second. */
  readonly first: SampleWanted;
  /** Further images of all classes. */
  readonly more: SampleWanted;
  readonly epochs: { readonly first: number; readonly retrained: number; readonly scratch: number | null };
  /** For all three runs. */
  readonly settings: readonly string[];
}

interface RunSeen {
  readonly epochs: readonly EpochLine[];
  readonly stepsPerEpoch: number;
  readonly firstLoss: number;
  readonly counts: Readonly<Record<'train' | 'val' | 'test', number>>;
  readonly warnings: readonly string[];
  readonly seconds: number;
}

export interface Retraining {
  readonly first: RunSeen;
  readonly retrained: RunSeen;
  readonly scratch: RunSeen | null;
  /** Both models on the very Test images of v1.0.0. */
  readonly old: { readonly before: number; readonly after: number; readonly paired: Paired };
  /** v1.1.0 on the Test images of the second zip that are of the new class. */
  readonly newClass: { readonly n: number; readonly recall: number };
  /** Test images of v1.0.0 by content, and where v1.1.0 has them. */
  readonly keptTest: { readonly of: number; readonly stillTest: number };
  /** Rows of the new version's head whose label has a row in the old one. */
  readonly labels: { readonly before: readonly string[]; readonly after: readonly string[] };
  readonly diff: string;
}

/** Makes both zips and both versions in `home`. */
export async function retrain(
  home: string,
  plan: Plan,
  log: (text: string) => void = () => undefined,
): Promise<Retraining> {
  const [firstZip, secondZip] = [join(home, 'first.zip'), join(home, 'second.zip')];
  await writeSampleZip(firstZip, [{ wanted: plan.first, keep: (name) => name !== NEW_CLASS }]);
  await writeSampleZip(secondZip, [
    { wanted: plan.first, keep: (name) => name === NEW_CLASS },
    { wanted: plan.more, keep: () => true },
  ]);
  const run = (args: readonly string[], onOutput?: (text: string) => void): Promise<Ended> =>
    cliOrFail(args, { cwd: home, timeout: 580_000, ...(onOutput && { onOutput }) });
  const into = (dir: string): string[] => ['--set', `output.dir=${dir}`];

  const train = async (dir: string, epochs: number, args: readonly string[]): Promise<RunSeen> => {
    const ended = await run(['train', ...plan.settings, ...into(dir), '--epochs', String(epochs), ...args, '--json']);
    const seen = runOf(eventsOf(ended), ended.milliseconds / 1000);
    for (const { epoch, validation } of seen.epochs)
      log(
        `${dir} · epoch ${epoch}: validation loss ${validation.loss.toFixed(3)}, right ${percent(validation.accuracy)}`,
      );
    return seen;
  };

  const first = await train('first', plan.epochs.first, ['--data', firstZip]);
  await run(['sync-model', '--version', 'v1.0.0', ...into('first')]);
  const merged = ['--data', firstZip, '--add', secondZip];
  const retrained = await train('retrained', plan.epochs.retrained, [...merged, '--from', 'v1.0.0']);
  await run(['sync-model', '--version', 'v1.1.0', ...into('retrained')]);
  const scratch = plan.epochs.scratch === null ? null : await train('scratch', plan.epochs.scratch, merged);

  const judge = async (dir: string, zip: string) => {
    const checkpoint = join(dir, 'checkpoint_best.safetensors');
    return reportOf(eventsOf(await run(['evaluate', '--checkpoint', checkpoint, '--data', zip, '--json'])));
  };
  const [before, after] = [await judge('first', firstZip), await judge('retrained', firstZip)];
  const truth = await classesIn(firstZip);
  const right = (report: typeof before): Map<number, boolean> => {
    const found = predictions(report);
    const marks = new Map([...found].map(([index, label]) => [index, label === truth[index]]));
    const share = [...marks.values()].filter(Boolean).length / marks.size;
    // What is compared image by image must be what the command itself counted.
    if (Math.abs(share - report.accuracy) > 1e-9) throw new Error(`counted ${share}, reported ${report.accuracy}`);
    return marks;
  };
  const onSecond = (await judge('retrained', secondZip)).perClass.find(({ label }) => label === NEW_CLASS);
  const [membersBefore, membersAfter] = ['v1.0.0', 'v1.1.0'].map((version) => membersOf(home, version));
  const test = new Set(membersAfter?.test);
  return {
    first,
    retrained,
    scratch,
    old: { before: before.accuracy, after: after.accuracy, paired: paired(right(before), right(after)) },
    newClass: { n: onSecond?.support ?? 0, recall: onSecond?.recall ?? 0 },
    keptTest: {
      of: membersBefore?.test.length ?? 0,
      stillTest: membersBefore?.test.filter((name) => test.has(name)).length ?? 0,
    },
    labels: { before: labelsOf(home, 'v1.0.0'), after: labelsOf(home, 'v1.1.0') },
    diff: (await run(['versions', 'diff', 'v1.0.0', 'v1.1.0'])).stdout,
  };
}

function eventsOf({ stdout }: Ended): JsonLine[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as JsonLine);
}

function runOf(events: readonly JsonLine[], seconds: number): RunSeen {
  const [started] = ofType(events, 'runStarted');
  const [step] = ofType(events, 'step');
  return {
    epochs: epochsOf(events),
    stepsPerEpoch: started?.stepsPerEpoch as number,
    firstLoss: step?.loss as number,
    counts: (started?.dataset as { counts: RunSeen['counts'] }).counts,
    warnings: ofType(events, 'weightsReady').flatMap(({ warnings }) => warnings as string[]),
    seconds,
  };
}

/** Each image's class in the order of an imported data set: by class, then by path. */
async function classesIn(zip: string): Promise<string[]> {
  const { files } = await JSZip.loadAsync(readFileSync(zip));
  const paths = Object.values(files).flatMap(({ dir, name }) => (dir ? [] : [name]));
  return paths.map((path) => path.split('/')[1] ?? '').sort();
}

function membersOf(home: string, version: string): Readonly<Record<'train' | 'val' | 'test', readonly string[]>> {
  const { metadata } = readSafetensorsByHand(join(home, 'models', 'versions', version, 'weights.safetensors'));
  return JSON.parse(metadata['pacerid.members'] ?? '') as ReturnType<typeof membersOf>;
}

function labelsOf(home: string, version: string): string[] {
  return readFileSync(join(home, 'models', 'versions', version, 'labels.txt'), 'utf8')
    .trimEnd()
    .split('\n');
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
