import { describe, expect, it } from 'vitest';
import { issuesOf } from '../../../src/config/validate.ts';
import { treeOf, type ConfigValue } from '../../../src/config/tree.ts';
import { refusal, typed } from '../../../src/app/views/train/refusal.ts';

const said = (path: string, label: string, value: ConfigValue): string =>
  refusal(issuesOf(treeOf(path, value), { partial: true, originOf: () => ({ source: 'page', place: null }) }), {
    [path]: label,
  });

describe('why a setting was refused', () => {
  it('is said with the field’s name and what was typed, not in a file’s words', () => {
    expect(said('training.clip_norm', 'Largest gradient norm', typed(' abc '))).toBe(
      'Largest gradient norm is "abc"; allowed: a number greater than 0, at most 1000000, or nothing.',
    );
    expect(said('training.epochs', 'Epochs', typed(''))).toMatch(/^Epochs is empty; allowed: a whole number/);
    expect(said('training.augmentation.crop_scale', 'Share of the area', [2, 1])).toBe(
      'Share of the area is [2, 1]; allowed: two numbers, the smaller first, each from 0.05 to 1.',
    );
  });
  it('is empty where it was not', () => {
    expect(said('training.clip_norm', 'Largest gradient norm', typed('1e-1'))).toBe('');
  });
});
