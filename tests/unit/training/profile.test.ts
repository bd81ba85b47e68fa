import { describe, expect, it } from 'vitest';
import type { ProfileRow, StepResult } from '../../../src/engine/types.ts';
import type { UntimedEvent } from '../../../src/training/emit.ts';
import { profilingStep, timesOf } from '../../../src/training/profile.ts';
import { smallRun } from './smallRun.ts';

const row = (node: number, milliseconds: number): ProfileRow => ({
  node: `layer ${node}`,
  kind: node % 2 ? 'conv' : 'normApply',
  program: 'p',
  milliseconds,
  flops: 1,
  bytes: 2,
});
const result: StepResult = { loss: 1, logits: new Float32Array(2) };

describe('a run whose step is timed', () => {
  it('times the third one, and makes each step once', async () => {
    const made: string[] = [];
    const events: UntimedEvent[] = [];
    const step = profilingStep(
      {
        trainStep: (parts, rate) => {
          made.push(`trained ${parts.length} at ${rate}`);
          return Promise.resolve(result);
        },
        profile: (parts, rate) => {
          made.push(`timed ${parts.length} at ${rate}`);
          return Promise.resolve({ ...result, loss: 2, rows: [row(1, 5)], milliseconds: 7 });
        },
      },
      (event) => events.push(event),
    );
    const losses: number[] = [];
    for (let i = 0; i < 4; i++) losses.push((await step([], 0.5)).loss);
    expect(made).toEqual(['trained 0 at 0.5', 'trained 0 at 0.5', 'timed 0 at 0.5', 'trained 0 at 0.5']);
    expect(losses).toEqual([1, 1, 2, 1]);
    expect(events).toEqual([
      {
        type: 'stepProfiled',
        step: 3,
        times: {
          milliseconds: 7,
          kernels: [{ name: 'conv', dispatches: 1, milliseconds: 5, flops: 1, bytes: 2 }],
          layers: [{ name: 'layer 1', dispatches: 1, milliseconds: 5, flops: 1, bytes: 2 }],
        },
      },
    ]);
  });

  it('says at once, and once, that its network cannot tell; it trains all the same', async () => {
    const { events, record } = await smallRun({ change: { epochs: 2 }, profile: true });
    expect(record?.state).toBe('completed');
    expect(events.filter(({ type }) => type === 'stepProfiled')).toEqual([
      expect.objectContaining({ step: 1, times: null }),
    ]);
    const without = await smallRun({ change: { epochs: 2 } });
    expect(without.events.filter(({ type }) => type === 'stepProfiled')).toEqual([]);
  });

  it('of the head alone on features says so, too', async () => {
    const { events } = await smallRun({ change: { epochs: 1, layers: 'head', cached_views: 1 }, profile: true });
    expect(events.filter(({ type }) => type === 'stepProfiled')).toEqual([
      expect.objectContaining({ step: 0, times: null }),
    ]);
  });

  it('keeps all kernels and the thirty dearest layers: a few kilobytes', () => {
    const rows = Array.from({ length: 400 }, (_, i) => row(i, i));
    const { kernels, layers } = timesOf({ ...result, rows, milliseconds: 1 });
    expect(kernels.reduce((sum, { dispatches }) => sum + dispatches, 0)).toBe(400);
    expect(layers.map(({ name }) => name)).toEqual(Array.from({ length: 30 }, (_, i) => `layer ${399 - i}`));
    expect(JSON.stringify({ kernels, layers }).length).toBeLessThan(5000);
  });
});
