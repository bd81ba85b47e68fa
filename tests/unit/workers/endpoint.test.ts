import { describe, expect, it } from 'vitest';
import { UserError } from '../../../src/errors.ts';
import { createEndpoint } from '../../../src/workers/endpoint.ts';

interface Commands extends Record<string, { payload: unknown; result: unknown }> {
  double: { payload: number; result: number };
  fail: { payload: null; result: null };
  count: { payload: number; result: null };
  hog: { payload: number; result: null };
}
class NoPaperError extends UserError {}

function make() {
  const made = createEndpoint<Commands, number>({
    double: (n) => 2 * n,
    fail: () => {
      throw new NoPaperError('No paper.', { kept: 'The ink.', remedy: 'Add paper.' });
    },
    count: async (n) => {
      for (let i = 0; i < n; i++) {
        made.emit(i);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      return null;
    },
    // Never lets a timer fire.
    hog: async (ms) => {
      const end = performance.now() + ms;
      for (let i = 0; performance.now() < end; i++) {
        made.emit(i);
        await Promise.resolve();
      }
      return null;
    },
  });
  return made.endpoint;
}

describe('createEndpoint', () => {
  it('answers with the result', async () => {
    expect(await make().dispatch('double', 21)).toEqual({ ok: true, value: 42 });
  });

  it('answers a failure with a report that survives structured clone', async () => {
    const outcome = structuredClone(await make().dispatch('fail', null));
    expect(outcome).toEqual({
      ok: false,
      error: { name: 'NoPaperError', message: 'No paper.', kept: 'The ink.', remedy: 'Add paper.' },
    });
  });

  it('refuses unknown commands, those of Object.prototype too', async () => {
    expect(await make().dispatch('toString', null)).toMatchObject({ ok: false, error: { name: 'UnexpectedError' } });
  });

  it('sends events in order, in at most ten batches a second, all before the answer', async () => {
    const endpoint = make();
    const batches: { at: number; events: number[] }[] = [];
    await endpoint.subscribe((events) => void batches.push({ at: performance.now(), events }));
    await endpoint.dispatch('count', 200);
    expect(batches.flatMap((batch) => batch.events)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    const gaps = batches.slice(1).map((batch, i) => batch.at - (batches[i]?.at ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThan(90);
  });

  it('also while work keeps every timer waiting', async () => {
    const endpoint = make();
    const batches: number[] = [];
    await endpoint.subscribe(() => void batches.push(performance.now()));
    await endpoint.dispatch('hog', 800);
    const gaps = batches.slice(1).map((at, i) => at - (batches[i] ?? 0));
    expect(batches.length).toBeGreaterThanOrEqual(4);
    expect(Math.min(...gaps)).toBeGreaterThan(90);
  });
});
