import { describe, expect, it } from 'vitest';
import { answersOf, predictionsCsv, surestMistakes } from '../../../src/app/views/evaluate/predictions.ts';
import type { Dataset, EvaluationReport } from '../../../src/workers/protocol.ts';

/** Three classes, four images of Test; worked out by hand. */
const dataset = {
  classes: ['A - One', 'A - "Two", new', 'B - Three'],
  images: [
    { path: 'Train/A - One/0.png', label: 0 },
    { path: 'Test/A - One/1.png', label: 0 },
    { path: 'Test/A - "Two", new/2.png', label: 1 },
    { path: 'Test/B - Three/3.png', label: 2 },
    { path: 'Test/B - Three/4.png', label: 2 },
  ],
} as unknown as Dataset;
const report = {
  n: 4,
  perClass: dataset.classes.map((label) => ({ label })),
  indices: [1, 2, 3, 4],
  probabilities: new Float32Array([0.75, 0.25, 0, 0.5, 0.375, 0.125, 0.0625, 0.875, 0.0625, 0.25, 0.25, 0.5]),
} as unknown as EvaluationReport;

describe('answers of a report', () => {
  it('take the most probable class of each row', () => {
    expect(answersOf(report, dataset)).toEqual([
      { image: 1, truth: 0, predicted: 0, probability: 0.75 },
      { image: 2, truth: 1, predicted: 0, probability: 0.5 },
      { image: 3, truth: 2, predicted: 1, probability: 0.875 },
      { image: 4, truth: 2, predicted: 2, probability: 0.5 },
    ]);
  });

  it('list mistakes with the surest first', () => {
    expect(surestMistakes(answersOf(report, dataset)).map((answer) => answer.image)).toEqual([3, 2]);
  });
});

it('predictions as CSV quote what RFC 4180 asks for and keep every digit', () => {
  expect(predictionsCsv(report, dataset).split('\r\n')).toEqual([
    'path,truth,prediction,A - One,"A - ""Two"", new",B - Three',
    'Test/A - One/1.png,A - One,A - One,0.75,0.25,0',
    '"Test/A - ""Two"", new/2.png","A - ""Two"", new",A - One,0.5,0.375,0.125',
    'Test/B - Three/3.png,B - Three,"A - ""Two"", new",0.0625,0.875,0.0625',
    'Test/B - Three/4.png,B - Three,B - Three,0.25,0.25,0.5',
    '',
  ]);
});
