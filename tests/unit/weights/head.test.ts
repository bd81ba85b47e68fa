import { describe, expect, it } from 'vitest';
import { buildGraph } from '../../../src/architectures/index.ts';
import { initialHead } from '../../../src/architectures/initialise.ts';
import { parametersOf, sizeOf } from '../../../src/graph/parameters.ts';
import type { Tensor } from '../../../src/graph/types.ts';
import { matchWeights } from '../../../src/weights/match.ts';

const labelsOf = (text: string): string[] => [...text];
const inFeatures = parametersOf(buildGraph('tiny', 2)).find(({ name }) => name === 'classifier.weight')!.shape[1]!;

/** Row `i` of the weight is 10 + i all along, its bias 100 + i: written down here, not drawn. */
function fileFor(labels: readonly string[] | null, rows: number, width = inFeatures) {
  const tensors = new Map<string, Tensor>(
    parametersOf(buildGraph('tiny', rows)).map(({ name, shape }) => [
      name,
      { shape, data: new Float32Array(sizeOf(shape)).fill(1) },
    ]),
  );
  const weight = Array.from({ length: rows }, (_, row) => Array<number>(width).fill(10 + row)).flat();
  const bias = Array.from({ length: rows }, (_, row) => 100 + row);
  tensors.set('classifier.weight', { shape: [rows, width], data: Float32Array.from(weight) });
  tensors.set('classifier.bias', { shape: [rows], data: Float32Array.from(bias) });
  return { tensors, metadata: {}, labels };
}

/** Each row's weight (one number where the row is all the same, else `new`) and bias. */
function rowsFor(wanted: string, file: ReturnType<typeof fileFor>) {
  const labels = labelsOf(wanted);
  const graph = buildGraph('tiny', labels.length);
  const fresh = initialHead(graph, 7);
  const matched = matchWeights(file, { graph, labels, initialHead: fresh, candidates: [] });
  const [weight, bias] = [matched.weights.get('classifier.weight')!, matched.weights.get('classifier.bias')!];
  expect([weight.shape, bias.shape]).toEqual([[labels.length, inFeatures], [labels.length]]);
  const rows = labels.map((_, row) => {
    const [from, to] = [row * inFeatures, (row + 1) * inFeatures];
    const values = [...weight.data.subarray(from, to)];
    const isFresh = values.every((value, i) => value === fresh.get('classifier.weight')!.data[from + i]);
    if (isFresh && bias.data[row] === fresh.get('classifier.bias')!.data[row]) return 'new';
    expect(new Set(values).size).toBe(1);
    return [values[0], bias.data[row]];
  });
  return { rows, head: matched.head, warnings: matched.warnings };
}

describe('the head, row by row', () => {
  it('is the file’s own where the labels are the same', () => {
    const { rows, head, warnings } = rowsFor('abc', fileFor(labelsOf('abc'), 3));
    expect(rows).toEqual([[10, 100], [11, 101], [12, 102]]); // prettier-ignore
    expect(head).toEqual({ kept: ['a', 'b', 'c'], fresh: [], dropped: [] });
    expect(warnings).toEqual([]);
  });

  it('is put into the data set’s order where that is another', () => {
    const { rows, warnings } = rowsFor('abc', fileFor(labelsOf('cab'), 3));
    expect(rows).toEqual([[11, 101], [12, 102], [10, 100]]); // prettier-ignore
    expect(warnings).toEqual([]);
  });

  it('gets new rows for new labels, wherever these come in the order', () => {
    const { rows, head, warnings } = rowsFor('abcde', fileFor(labelsOf('bd'), 2));
    expect(rows).toEqual(['new', [10, 100], 'new', [11, 101], 'new']);
    expect(head).toEqual({ kept: ['b', 'd'], fresh: ['a', 'c', 'e'], dropped: [] });
    expect(warnings).toEqual(['3 labels are new and start from nothing: a, c, e.']);
  });

  it('loses the rows of labels that are gone, and says which', () => {
    const { rows, head, warnings } = rowsFor('cX', fileFor(labelsOf('abc'), 3));
    expect(rows).toEqual(['new', [12, 102]].reverse());
    expect(head).toEqual({ kept: ['c'], fresh: ['X'], dropped: ['a', 'b'] });
    expect(warnings).toEqual([
      '1 label is new and starts from nothing: X.',
      '2 labels of the file are not in the data set and go: a, b.',
    ]);
    expect(rowsFor('ab', fileFor(labelsOf('abc'), 3)).warnings).toEqual([
      '1 label of the file is not in the data set and goes: c.',
    ]);
  });

  it('is new where the file does not say what its rows stand for', () => {
    const { rows, head, warnings } = rowsFor('abc', fileFor(null, 3));
    expect(rows).toEqual(['new', 'new', 'new']);
    expect(head).toEqual({ kept: [], fresh: ['a', 'b', 'c'], dropped: [] });
    expect(warnings).toEqual([]);
  });

  it.each([
    ['more rows than labels', fileFor(labelsOf('ab'), 3)],
    ['the same label twice', fileFor(labelsOf('aba'), 3)],
    ['rows of another width', fileFor(labelsOf('abc'), 3, inFeatures + 1)],
  ])('is new, with a warning, where the file has %s', (_, file) => {
    const { rows, warnings } = rowsFor('abc', file);
    expect(rows).toEqual(['new', 'new', 'new']);
    expect(warnings.join()).toContain('a new head');
  });

  it('is left alone by a mere look', () => {
    const graph = buildGraph('tiny', 2);
    const fresh = initialHead(graph, 7);
    const file = fileFor(labelsOf('abc'), 3);
    const { weights, head, classesInFile } = matchWeights(file, {
      graph,
      labels: null,
      initialHead: fresh,
      candidates: [],
    });
    expect(weights.get('classifier.weight')?.data).toEqual(fresh.get('classifier.weight')?.data);
    expect([head, classesInFile]).toEqual([{ kept: [], fresh: [], dropped: [] }, 3]);
  });
});
