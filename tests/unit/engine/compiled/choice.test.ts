import { describe, expect, it } from 'vitest';
import { quickest, ratiosOf, stillIn } from '../../../../src/engine/compiled/tuning/choice.ts';

describe('which cut is chosen', () => {
  it('goes by ratios within a round: a clock that is five times as fast in the next changes nothing', () => {
    const rounds = [
      [100, 80, 120],
      [20, 16, 24],
      [50, 40, 60],
    ];
    expect(ratiosOf(rounds)).toEqual([1, 0.8, 1.2]);
    expect(quickest(rounds)).toBe(1);
    // By the least time of each the third would have won: it had the quick round for itself.
    const alone = [
      [100, 110, 120],
      [100, 110, 15],
      [100, 110, 120],
    ];
    expect(quickest(alone)).toBe(0);
  });

  it('keeps the default unless another is quicker by more than 5 %, or by more than the clock can tell', () => {
    expect(quickest([[100, 96]])).toBe(0);
    expect(quickest([[100, 95]])).toBe(0);
    expect(quickest([[100, 94.9]])).toBe(1);
    expect(quickest([[100, 94]], 0.1)).toBe(0);
    expect(quickest([[100, 100]])).toBe(0);
  });

  it('keeps the default where nothing was measured, or where its time is 0 and nothing can be told', () => {
    expect(quickest([])).toBe(0);
    expect(quickest([[0, 0, 3]])).toBe(0);
    expect(quickest([[0, 0, 3]], Infinity)).toBe(0);
  });

  it('gives the middle one of an odd number of rounds, and the mean of the middle two of an even number', () => {
    expect(ratiosOf([[10, 5], [10, 9], [10, 8]])).toEqual([1, 0.8]); // prettier-ignore
    expect(ratiosOf([[10, 5], [10, 9]])[1]).toBeCloseTo(0.7, 12); // prettier-ignore
  });

  it('has no further round for what is hopeless, for whoever was out before, and always one for the default', () => {
    expect(stillIn([[100, 50, 64, 66]])).toEqual([true, true, true, false]);
    const rounds = [
      [100, 50, 64, 66],
      [100, 50, 64, NaN],
    ];
    expect(stillIn(rounds)).toEqual([true, true, true, false]);
    expect(ratiosOf(rounds)[3]).toBe(Infinity);
  });
});
