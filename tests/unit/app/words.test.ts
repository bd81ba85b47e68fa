import { describe, expect, it } from 'vitest';
import { cellSide, describe as describeCell } from '../../../src/app/components/charts/confusion.ts';
import { interval, nats, probability, share } from '../../../src/app/components/charts/figures.ts';
import { cropOption, swiftSnippet } from '../../../src/app/views/export/swift.ts';
import { makerSums } from '../../../src/app/components/predict/makers.ts';

const plain = (text: string): string => text.replaceAll('\u00a0', ' ');

describe('figures', () => {
  it('have units and sensible digits', () => {
    expect(plain(share(0.92449))).toBe('92.4 %');
    expect(share(null)).toBe('–');
    expect(plain(interval([0.8814, 0.953]))).toBe('88.1–95.3 %');
    expect([2.34567, 0.04567, 0.00012, 12.34, 0].map(nats)).toEqual(['2.346', '0.0457', '1.2e-4', '12.3', '0']);
    expect(nats(NaN)).toBe('not a number');
  });
  it('do not round a small probability to nothing', () => {
    expect(plain(probability(0.0001))).toBe('< 0.1 %');
    expect(plain(probability(0))).toBe('0.0 %');
  });
});

describe('a cell of the confusion matrix', () => {
  const confusion = [
    [3, 1],
    [0, 1],
  ];
  it('says what it counts', () => {
    expect(describeCell(confusion, ['A', 'B'], { truth: 0, predicted: 1 })).toBe(
      '1 of 4 images of A (25.0 %) taken for B',
    );
    expect(describeCell(confusion, ['A', 'B'], { truth: 1, predicted: 1 })).toBe(
      '1 of 1 image of B (100.0 %) recognised',
    );
  });
  it('is as large as fits, and never too small for its label', () => {
    expect(cellSide(2, 900, 600)).toBe(56);
    expect(cellSide(30, 900, 600)).toBe(20);
    expect(cellSide(100, 900, 600)).toBe(16);
  });
});

describe('probability of a maker', () => {
  it('is the sum over its models', () => {
    expect(
      makerSums([
        { label: 'MDT - Azure', probability: 0.5 },
        { label: 'BOS - Ingenio', probability: 0.25 },
        { label: 'MDT - Advisa', probability: 0.25 },
      ]),
    ).toEqual([
      { maker: 'MDT', probability: 0.75, models: 2 },
      { maker: 'BOS', probability: 0.25, models: 1 },
    ]);
  });
  it('is not made up where classes are not named by maker', () => {
    expect(
      makerSums([
        { label: 'MDT - Azure', probability: 0.5 },
        { label: 'nothing', probability: 0.5 },
      ]),
    ).toEqual([]);
  });
});

it('the Swift snippet crops as the model was judged', () => {
  expect(swiftSnippet('PacerIDClassifier', 'center_crop')).toContain('imageCropAndScaleOption = .centerCrop');
  expect(cropOption('squash')).toBe('.scaleFill');
});
