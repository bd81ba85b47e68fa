import { describe, expect, it } from 'vitest';
import { summed } from '../../../src/engine/profile.ts';
import type { ProfileRow } from '../../../src/engine/types.ts';

const row = (node: string, kind: string, milliseconds: number, flops = 0, bytes = 0): ProfileRow => ({
  node,
  kind,
  program: `${kind}-of-${node}`,
  milliseconds,
  flops,
  bytes,
});

describe('the profile of a step', () => {
  const rows = [
    row('a', 'conv', 1, 10, 100),
    row('b', 'conv', 4, 20, 200),
    row('a', 'normApply', 0.5, 0, 50),
    row('a', 'convFilterGradient', 3, 30, 300),
    row('b', 'normApply', 0.5, 0, 50),
  ];

  it('is summed by what is asked for, the dearest first', () => {
    expect(summed(rows, ({ kind }) => kind)).toEqual([
      { name: 'conv', dispatches: 2, milliseconds: 5, flops: 30, bytes: 300 },
      { name: 'convFilterGradient', dispatches: 1, milliseconds: 3, flops: 30, bytes: 300 },
      { name: 'normApply', dispatches: 2, milliseconds: 1, flops: 0, bytes: 100 },
    ]);
  });

  it('has equal ones by name, whatever the order of the step', () => {
    const even = [row('b', 'x', 4.5), row('a', 'x', 4.5)];
    expect(summed(even, ({ node }) => node).map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('of nothing is nothing', () => {
    expect(summed([], ({ kind }) => kind)).toEqual([]);
  });
});
