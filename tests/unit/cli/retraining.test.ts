/** The short form of `npm run verify -- retraining`: a class that comes later, with few small images. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { paired } from '../../verify/headless/retrained.ts';
import { NEW_CLASS, retrain, type Retraining } from '../../verify/headless/retraining.ts';
import { setFlags } from '../support/cli.ts';

describe('a version retrained with a new class', () => {
  const home = mkdtempSync(join(tmpdir(), 'pacerid-retraining-'));
  afterAll(() => rmSync(home, { recursive: true, force: true }));
  let result: Retraining;
  beforeAll(async () => {
    const sample = { seed: 7, classes: 4, train_per_class: 30, test_per_class: 6, size: 64 };
    const settings = {
      'model.architecture': 'tiny',
      'model.pretrained': false,
      'data.img_size': 32,
      'data.batch_size': 8,
      'training.device': 'wasm',
      'training.learning_rate': 0.003,
    };
    result = await retrain(home, {
      first: sample,
      more: { ...sample, seed: 107, train_per_class: 4, test_per_class: 2 },
      epochs: { first: 10, retrained: 5, scratch: null },
      settings: setFlags(settings),
    });
  }, 120_000);

  it('keeps every Test image a Test image', () => {
    expect(result.keptTest).toEqual({ of: 18, stillTest: 18 });
    expect(result.old.paired.n).toBe(18);
    // 90 + 30 + 16 to train with, 18 + 6 + 8 to test with.
    const { train, val, test } = result.retrained.counts;
    expect([train + val, test]).toEqual([136, 32]);
  });

  it('starts from what it knew, though a quarter of the first batch is of a class that it has never seen', () => {
    // An untrained head guesses: ln 3 and ln 4 nats.
    expect(result.first.firstLoss).toBeGreaterThan(0.9 * Math.log(3));
    expect(result.retrained.firstLoss).toBeLessThan(0.85 * Math.log(4));
    const [first, retrained] = [result.first, result.retrained].map(({ epochs }) => epochs[0]?.validation.accuracy);
    expect(retrained).toBeGreaterThan((first ?? 1) + 0.2);
    expect(result.retrained.warnings.join(' ')).toContain(NEW_CLASS);
  });

  it('learns the new class and is not worse on the old Test images, beyond noise', () => {
    expect(result.newClass.n).toBe(8);
    expect(result.newClass.recall).toBeGreaterThan(0);
    expect(result.old.before).toBeGreaterThan(1 / 3);
    expect(result.old.paired.p).toBeGreaterThan(0.01);
  });

  it('the versions say what differs', () => {
    expect(result.labels.before).not.toContain(NEW_CLASS);
    expect(result.labels.after).toEqual([...result.labels.before, NEW_CLASS].sort());
    expect(result.diff).toContain(`+ ${NEW_CLASS}`);
    expect(result.diff).toMatch(/started from\s.*v1\.0\.0/);
  });
});

it('the paired test is McNemar’s', () => {
  const marks = (text: string) => new Map([...text].map((mark, i) => [i, mark === '+']));
  // 1 image right with the new one alone, 8 with the old one alone: (9 + 1) / 2⁹.
  const outcome = paired(marks('++++++++-++'), marks('--------+++'));
  expect(outcome).toEqual({ n: 11, onlyOld: 8, onlyNew: 1, p: 10 / 512 });
  expect(paired(marks('++-'), marks('++-')).p).toBe(1);
  expect(() => paired(marks('++'), marks('+'))).toThrow('different images');
});
