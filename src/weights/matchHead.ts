import type { Tensor, Weights } from '../graph/types.ts';

export interface MatchedHead {
  /** `[labels, in]` and `[labels]`, under the head's names. */
  readonly weights: Weights;
  /** Labels whose rows were taken over, those that start from nothing, and those of the file that are not wanted. */
  readonly kept: readonly string[];
  readonly fresh: readonly string[];
  readonly dropped: readonly string[];
  /** For the user, in sentences. */
  readonly warnings: readonly string[];
}

/**
 * The rows of a head, label by label: what the file knows keeps its weights and its bias, wherever it stands now; what is new gets
 * the row of `initialHead`; what is gone goes. `wanted` null (only a look): a new head, and nothing is said.
 * `tensors`: of the file; `fileLabels`: what each row of its head stands for, null where it doesn't say.
 */
export function matchHead(
  head: string,
  tensors: ReadonlyMap<string, Tensor>,
  fileLabels: readonly string[] | null,
  wanted: readonly string[] | null,
  initialHead: Weights,
): MatchedHead {
  const asNew = (warnings: readonly string[]): MatchedHead => ({
    weights: initialHead,
    kept: [],
    fresh: wanted ?? [],
    dropped: [],
    warnings,
  });
  if (wanted === null || fileLabels === null) return asNew([]);

  const [weight, bias] = [`${head}.weight`, `${head}.bias`];
  const fresh = { weight: rowsOf(initialHead.get(weight)), bias: rowsOf(initialHead.get(bias)) };
  if (fresh.weight === null || fresh.bias === null || fresh.weight.count !== wanted.length)
    throw new Error(`A new ${head} has not a row for each of ${wanted.length} labels`);
  const own = { weight: rowsOf(tensors.get(weight)), bias: rowsOf(tensors.get(bias)) };
  const usable =
    own.weight?.size === fresh.weight.size &&
    own.bias?.size === 1 &&
    own.weight.count === fileLabels.length &&
    own.bias.count === fileLabels.length &&
    new Set(fileLabels).size === fileLabels.length;
  if (!usable || own.weight == null || own.bias == null) {
    return asNew(['The head of this file does not belong to the labels that it names: a new head is trained.']);
  }

  const rowOf = new Map(fileLabels.map((label, row) => [label, row]));
  const weights = { weight: fresh.weight.data.slice(), bias: fresh.bias.data.slice() };
  wanted.forEach((label, to) => {
    const from = rowOf.get(label);
    if (from === undefined) return;
    for (const part of ['weight', 'bias'] as const) {
      const { data, size } = own[part] as Rows;
      weights[part].set(data.subarray(from * size, (from + 1) * size), to * size);
    }
  });
  const added = wanted.filter((label) => !rowOf.has(label));
  const dropped = fileLabels.filter((label) => !wanted.includes(label));
  return {
    weights: new Map([
      [weight, { shape: [wanted.length, fresh.weight.size], data: weights.weight }],
      [bias, { shape: [wanted.length], data: weights.bias }],
    ]),
    kept: wanted.filter((label) => rowOf.has(label)),
    fresh: added,
    dropped,
    warnings: [
      ...said(added, 'label is new and starts from nothing', 'labels are new and start from nothing'),
      ...said(
        dropped,
        'label of the file is not in the data set and goes',
        'labels of the file are not in the data set and go',
      ),
    ],
  };
}

interface Rows {
  readonly data: Float32Array;
  readonly count: number;
  /** Values in each. */
  readonly size: number;
}

function rowsOf(tensor: Tensor | undefined): Rows | null {
  if (tensor === undefined || tensor.shape.length < 1 || tensor.shape.length > 2) return null;
  const [count, size = 1] = tensor.shape as readonly [number, number?];
  return { data: tensor.data, count, size };
}

/** `2 labels are new and start from nothing: A, B.` */
function said(labels: readonly string[], one: string, many: string): string[] {
  if (labels.length === 0) return [];
  return [`${labels.length} ${labels.length === 1 ? one : many}: ${labels.join(', ')}.`];
}
