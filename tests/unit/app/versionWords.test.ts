import { describe, expect, it } from 'vitest';
import { difference, proofMark, versionName } from '../../../src/app/certificateWords.ts';
import { checkpointSettings } from '../../../src/app/checkpointFile.ts';
import { labelChange, labelWords } from '../../../src/app/views/train/labelWords.ts';
import {
  byFolder,
  changeWords,
  numberProblem,
  proofFigures,
  proofProblem,
  proofWords,
} from '../../../src/app/views/versions/words.ts';
import type { SyncChange, VersionRecord } from '../../../src/registry/types.ts';

const plain = (text: string): string => text.replaceAll('\u00a0', ' ');

describe('labels when a run starts from a trained model', () => {
  it('are known, new or gone, and the words say which', () => {
    const change = labelChange(['A', 'B', 'C'], ['A', 'C', 'D']);
    expect(change).toEqual({ known: ['A', 'C'], fresh: ['D'], gone: ['B'] });
    expect(labelWords(change)).toBe('2 labels are known and keep what was learnt · 1 is new (D) · 1 is gone (B)');
  });
  it('say so where none is known, and do not list a hundred', () => {
    const many = Array.from({ length: 5 }, (_, i) => `N${i}`);
    expect(labelWords(labelChange(['A'], many))).toBe(
      'no label is known: the head starts anew · 5 are new (N0, N1, N2 and 2 more) · 1 is gone (A)',
    );
    expect(labelWords(labelChange(['A'], ['A']))).toBe('1 label is known and keeps what was learnt');
  });
});

const record = (version: string, n: number, hash: string): VersionRecord =>
  ({
    version,
    test: { n, accuracy: 0.5, interval: [0.4, 0.6], loss: 1 },
    dataset: { hash },
  }) as unknown as VersionRecord;

describe('a version number', () => {
  const taken = {
    versions: [{ ...record('v1.0.0', 10, 'a'), notes: '' }],
    damaged: [{ version: 'v1.0.1', reason: '' }],
    newer: ['v2.0.0'],
  };
  it('is three whole numbers without leading zeros that nothing has taken', () => {
    expect(numberProblem('v1.10.0', taken)).toBe('');
    for (const wrong of ['1.2.0', 'v1.2', 'v01.2.0', 'v1.2.0-rc1', 'v1.2.x', ''])
      expect(numberProblem(wrong, taken), wrong).toMatch(/^A number like v1\.2\.0/);
    for (const one of ['v1.0.0', 'v2.0.0']) expect(numberProblem(one, taken)).toMatch(/exists/);
    expect(numberProblem('v1.0.1', taken)).toMatch(/damaged/);
  });
});

describe('what a sync would do', () => {
  const changes: SyncChange[] = [
    { action: 'create', path: 'models/versions/v1.1.0/labels.txt', bytes: 500 },
    { action: 'create', path: 'models/versions/v1.1.0/PacerIDClassifier.mlpackage/Manifest.json', bytes: 700 },
    { action: 'replace', path: 'ios/PacerIDClassifier.mlpackage/Manifest.json', bytes: 700 },
    { action: 'remove', path: 'ios/PacerIDClassifier.mlpackage/Data/old.bin', bytes: 0 },
    { action: 'replace', path: 'models/current', bytes: 7, from: 'v1.0.0', to: 'v1.1.0' },
  ];
  it('is told by version, package and current', () => {
    expect(byFolder(changes).map(({ place, changes: inIt }) => [place, plain(changeWords(inIt))])).toEqual([
      ['models/versions/v1.1.0/', '2 files new, 1.2 kB'],
      ['ios/PacerIDClassifier.mlpackage/', '1 file replaced, 1 file removed, 700 B'],
      ['models/current', 'v1.0.0 → v1.1.0'],
    ]);
  });
});

/** By hand: https://github.com/huggingface/safetensors#format */
function safetensors(header: unknown, rest = 4): Blob {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(text.length), true);
  return new Blob([length.buffer, text, new Uint8Array(rest)]);
}

describe('a dropped file', () => {
  it('is a checkpoint where its header says so, and only there; the settings of its run stand in it', async () => {
    const about = JSON.stringify({ config: { data: { img_size: 64 } } });
    expect(await checkpointSettings(safetensors({ __metadata__: { 'pacerid.checkpoint': about } }))).toEqual({
      data: { img_size: 64 },
    });
    expect(await checkpointSettings(safetensors({ __metadata__: { 'pacerid.checkpoint': '{' } }))).toEqual({});
    expect(await checkpointSettings(safetensors({ __metadata__: { classes: '[]' } }))).toBeNull();
    expect(await checkpointSettings(safetensors({ 'pacerid.checkpoint': { dtype: 'F32' } }))).toBeNull();
    expect(await checkpointSettings(safetensors({}))).toBeNull();
    for (const bytes of [[], [1, 2, 3], [0x50, 0x4b, 3, 4, 0, 0, 0, 0, 0, 0], Array<number>(64).fill(255)])
      expect(await checkpointSettings(new Blob([new Uint8Array(bytes)])), String(bytes)).toBeNull();
  });
});

describe('what a version’s certificate says', () => {
  const certificate = {
    passed: true,
    images: 12,
    maxDifference: 0.0000083,
    flips: 0,
    right: { trained: 11, exported: 11 },
    thresholds: { maxDifference: 0.005, maxFlips: 0 },
    imagesFrom: { split: 'test', dataset: 'devices', hash: 'abc' },
    failures: [],
  };
  const one = (change: object | null, uncertified = '') =>
    ({ certificate: change && { ...certificate, ...change }, uncertified }) as unknown as VersionRecord;

  it('is a problem only where nothing is proven, and the problem is in words', () => {
    expect(proofProblem(one({}))).toBeNull();
    expect(proofProblem(one({ passed: false, failures: ['One flipped.', 'It is far off.'] }))).toBe(
      'One flipped. It is far off.',
    );
    expect(proofProblem(one(null, 'There were no images.'))).toBe('There were no images.');
  });
  it('stands beside the number, in a word or two, wherever that is shown', () => {
    const named = (change: object | null): VersionRecord => ({ ...one(change), version: 'v1.0.0' });
    expect([{}, { passed: false }, null].map((change) => proofMark(named(change)))).toEqual([
      '',
      'certificate failed',
      'no certificate',
    ]);
    expect(versionName(named({}))).toBe('v1.0.0');
    expect(versionName(named(null))).toBe('v1.0.0 (no certificate)');
  });
  it('has figures that a small difference survives', () => {
    expect(proofFigures(one({}))).toBe('passed, |Δp| ≤ 8.3e-6, n = 12');
    expect(plain(proofFigures(one({ passed: false, maxDifference: 0.0312, flips: 2 })))).toBe(
      'failed, |Δp| ≤ 0.031, 2 answers changed, n = 12',
    );
    expect(proofFigures(one(null))).toBe('none');
    expect(difference(NaN)).toBe('not a number');
    expect(plain(proofWords(one({})))).toMatch(
      /^On 12 Test images of devices .* more than 8\.3e-6 \(allowed: 0\.005\), no answer is another one\. Right: 11 .* 11 by the package\.$/,
    );
  });
});
