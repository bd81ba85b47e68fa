import { describe, expect, it } from 'vitest';
import { balancedWeights } from '../../../src/training/balancedWeights.ts';
import { readCheckpoint } from '../../../src/training/checkpoint.ts';
import { UnknownClassesError } from '../../../src/training/errors.ts';
import { lossInWords, lossOf } from '../../../src/training/loss.ts';
import { foldRun } from '../../../src/training/runState.ts';
import type { RunStore } from '../../../src/training/types.ts';
import fixture from '../../fixtures/class_weights.json' with { type: 'json' };
import { createControl } from '../../../src/training/control.ts';
import { dataset, smallRun } from './smallRun.ts';

type Run = Awaited<ReturnType<typeof smallRun>>;
const plain = { label_smoothing: 0, class_weights: null };
const train = dataset.images.flatMap(({ given }, index) => (given === 'test' ? [] : [index]));

async function latest(store: RunStore) {
  return readCheckpoint((await store.readCheckpoint('small', 'latest')) as Uint8Array);
}
const lossesOf = (...runs: Run[]): number[] =>
  foldRun(runs.flatMap(({ events }) => events)).steps.map((point) => point.loss);

describe('class weights', () => {
  it.each(Object.entries(fixture))('balanced, as scikit-learn’s: %s', (_, { counts, weights }) => {
    const found = balancedWeights(counts);
    expect(found).toHaveLength(weights.length);
    for (const [i, weight] of weights.entries()) expect(found[i]).toBeCloseTo(weight, 9);
  });

  it('are balanced by the images that are trained on', () => {
    const of = (label: number) => train.filter((index) => dataset.images[index]!.label === label);
    const some = [...of(0).slice(0, 1), ...of(1).slice(0, 4), ...of(2).slice(0, 5)];
    expect(lossOf({ ...plain, class_weights: 'balanced' }, dataset, some)).toEqual({
      smoothing: 0,
      classWeights: [10 / 3, 10 / 12, 10 / 15],
    });
    // Nothing to balance it by.
    const without = lossOf({ ...plain, class_weights: 'balanced' }, dataset, [
      ...of(0).slice(0, 1),
      ...of(2).slice(0, 3),
    ]);
    expect(without.classWeights).toEqual([2, 1, 4 / 6]);
  });

  it('go by name, whatever the order; a class that is not named counts 1', () => {
    const { classWeights } = lossOf({ ...plain, class_weights: { slanted: 0.5, across: 4 } }, dataset, train);
    expect(classWeights).toEqual([4, 1, 0.5]);
    expect(lossOf(plain, dataset, train)).toEqual({ smoothing: 0, classWeights: null });
  });

  it('of classes that the data set does not have are refused, by name', () => {
    const set = () => lossOf({ ...plain, class_weights: { acros: 2, down: 1, constructor: 1 } }, dataset, train);
    expect(set).toThrow(UnknownClassesError);
    expect(set).toThrow('“acros”, “constructor”');
    expect(set).not.toThrow('“down”');
  });
});

describe('a run', () => {
  const change = { label_smoothing: 0.1, class_weights: { across: 5, slanted: 0.25 } } as const;
  it.each([
    ['through the network', {}],
    ['of the head on features', { layers: 'head', cached_views: 1 } as const],
  ])('%s, cut off, goes on with its loss as if nothing had happened', async (_, how) => {
    const straight = await smallRun({ change: { ...how, ...change } });
    const control = createControl();
    const begun = await smallRun({
      change: { ...how, ...change },
      control,
      onEvent: (event) => event.type === 'epochEnded' && event.epoch === 2 && control.suspend(),
    });
    expect(begun.record.state).toBe('stopped');
    const { config } = await latest(begun.store);
    expect(config.training).toMatchObject(change);
    const resumed = await smallRun({ store: begun.store, record: begun.record });
    expect([straight.error, resumed.error]).toEqual([null, null]);
    expect((await latest(resumed.store)).weights).toEqual((await latest(straight.store)).weights);
    // It is another loss, and that of validation is as it always was.
    const unweighted = await smallRun({ change: { ...how, learning_rate: 1e-12 } });
    const weighted = await smallRun({ change: { ...how, ...change, learning_rate: 1e-12 } });
    const [first, second] = [unweighted, weighted].map(({ events }) => foldRun(events).history[0]!);
    expect(Math.abs(second!.train.loss / first!.train.loss - 1)).toBeGreaterThan(1e-2);
    expect(second!.validation!.loss).toBeCloseTo(first!.validation!.loss, 6);
    expect(lossesOf(weighted)).not.toEqual(lossesOf(unweighted));
  });

  it('says what it trains with, once, and that validation is judged without', async () => {
    const { events, error } = await smallRun({ change: { ...change, epochs: 1 } });
    expect(error).toBeNull();
    const said = foldRun(events).notices.map(({ text }) => text);
    expect(said.filter((text) => text.includes('label smoothing'))).toEqual([
      'Trains with label smoothing 0.1 and class weights, from 0.25 (slanted) to 5 (across). Validation and Test are judged by plain ' +
        'cross-entropy: their losses don’t compare with that of training.',
    ]);
    expect(lossInWords(plain, lossOf(plain, dataset, train), dataset.classes)).toBeNull();
  });

  it('with a weight for an unknown class does not begin, and leaves nothing behind', async () => {
    const { error, store } = await smallRun({ change: { class_weights: { acros: 2 } } });
    expect(error).toBeInstanceOf(UnknownClassesError);
    expect(await store.list()).toEqual([]);
  });
});
