import { describe, expect, it } from 'vitest';
import { recordsOf } from '../../../src/platform/records.ts';

/** A kind of record as it might be after two changes of form: `title` became `name`, then `sizes` came to be. */
interface Thing {
  readonly schema: 3;
  readonly id: string;
  readonly name: string;
  readonly sizes: readonly number[];
}
const things = recordsOf<Thing>('thing', [
  ({ title, ...rest }) => ({ ...rest, schema: 2, name: title }),
  (second) => ({ ...second, schema: 3, sizes: [] }),
]);

describe('records of several forms', () => {
  it('are read in the newest, whichever they were stored in', () => {
    expect(things.read({ schema: 1, id: 'a', title: 'Ash' })).toEqual({ schema: 3, id: 'a', name: 'Ash', sizes: [] });
    expect(things.read({ schema: 2, id: 'b', name: 'Birch' })).toEqual({
      schema: 3,
      id: 'b',
      name: 'Birch',
      sizes: [],
    });
    const newest = { schema: 3, id: 'c', name: 'Cedar', sizes: [1] };
    expect(things.read(newest)).toBe(newest);
    expect(things.read(undefined)).toBeUndefined();
  });

  it('are not guessed at where the form is newer, or is none', () => {
    for (const stored of [{ schema: 4 }, { schema: '1' }, { schema: 1.5 }, {}, null, 'text']) {
      expect(things.isNewer(stored)).toBe(true);
      expect(() => things.read(stored)).toThrow('This thing was stored by a newer version of this page');
      expect(things.known([stored, { schema: 2, id: 'b', name: 'Birch' }])).toHaveLength(1);
    }
    expect(things.isNewer(undefined)).toBe(false);
  });
});
