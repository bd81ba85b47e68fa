/** What a retrained model has kept and learnt, from the lines of JSON that `train` and `evaluate` write. */
import type { JsonLine } from '../../unit/support/cli.ts';

interface Report {
  readonly n: number;
  readonly accuracy: number;
  readonly accuracyInterval: readonly [number, number];
  readonly perClass: readonly { readonly label: string; readonly support: number; readonly recall: number | null }[];
  readonly indices: readonly number[];
  readonly probabilities: readonly number[];
  readonly confusion: readonly (readonly number[])[];
}

export interface EpochLine {
  readonly epoch: number;
  readonly train: { readonly loss: number };
  readonly validation: { readonly n: number; readonly loss: number; readonly accuracy: number };
}

export const ofType = (events: readonly JsonLine[], type: string): JsonLine[] =>
  events.filter((event) => event.type === type);

/** The last report that `evaluate --json` wrote. */
export function reportOf(events: readonly JsonLine[]): Report {
  const [line] = ofType(events, 'evaluated');
  if (line === undefined) throw new Error('evaluate wrote no report');
  return line.report as Report;
}

export function epochsOf(events: readonly JsonLine[]): EpochLine[] {
  return ofType(events, 'epochEnded') as unknown as EpochLine[];
}

/** The first epoch whose validation accuracy is at least that; null: none. */
export function epochsTo(accuracy: number, epochs: readonly EpochLine[]): number | null {
  return epochs.find(({ validation }) => validation.accuracy >= accuracy)?.epoch ?? null;
}

/** Image (its index in the data set) → the label that was predicted, from the probabilities alone. */
export function predictions({ indices, probabilities, perClass }: Report): Map<number, string> {
  const classes = perClass.length;
  return new Map(
    indices.map((index, i) => {
      const row = probabilities.slice(i * classes, (i + 1) * classes);
      return [index, perClass[row.indexOf(Math.max(...row))]?.label ?? ''];
    }),
  );
}

export interface Paired {
  readonly n: number;
  /** Images that only the old model, and only the new one, gets right. */
  readonly onlyOld: number;
  readonly onlyNew: number;
  /**
   * Exact McNemar test, one-sided: how probable it is that so many or more of the images on which they differ go to the old model, if
   * neither is better. Small: the new one is worse, and not by chance.
   */
  readonly p: number;
}

/** Of two models on the same images. `right`: for each image whether a model got it right. */
export function paired(old: ReadonlyMap<number, boolean>, now: ReadonlyMap<number, boolean>): Paired {
  if (old.size !== now.size || [...old.keys()].some((index) => !now.has(index)))
    throw new Error(`Judged on different images: ${old.size} and ${now.size}`);
  let onlyOld = 0;
  let onlyNew = 0;
  for (const [index, right] of old) {
    if (right && !now.get(index)) onlyOld += 1;
    if (!right && now.get(index)) onlyNew += 1;
  }
  return { n: old.size, onlyOld, onlyNew, p: atLeast(onlyOld, onlyOld + onlyNew) };
}

/** Probability of `k` or more heads in `n` throws of a coin. */
function atLeast(k: number, n: number): number {
  let term = 0.5 ** n;
  let sum = 0;
  for (let i = 0; i <= n; i++) {
    if (i >= k) sum += term;
    term = (term * (n - i)) / (i + 1);
  }
  return Math.min(1, sum);
}
