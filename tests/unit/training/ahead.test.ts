import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/engine/types.ts';
import { createControl } from '../../../src/training/control.ts';
import { readCheckpoint } from '../../../src/training/checkpoint.ts';
import { NotANumberError } from '../../../src/training/errors.ts';
import type { RunEvent } from '../../../src/training/events.ts';
import { foldRun } from '../../../src/training/runState.ts';
import { openInNode } from '../support/openInNode.ts';
import { smallRun, type SmallRun } from './smallRun.ts';

/** A run whose steps are asked for one ahead, on a network that makes them one after the other: 51 images, four steps an epoch. */
type Run = Awaited<ReturnType<typeof smallRun>>;

async function openAhead(): Promise<Engine> {
  const engine = await openInNode('wasm');
  return { ...engine, build: async (...call) => ({ ...(await engine.build(...call)), ahead: true }) };
}

/** `log`: what was asked for (`ask 3`) and told (`step 3`) of the whole run's steps, and pauses, in order. */
async function aheadRun(options: SmallRun = {}): Promise<Run & { readonly log: string[] }> {
  const log: string[] = [];
  let [asked, told] = [0, 0];
  const run = await smallRun({
    engine: openAhead,
    ...options,
    step: (network, ...call) => {
      log.push(`ask ${++asked}`);
      return options.step?.(network, ...call) ?? network.trainStep(...call);
    },
    onEvent: (event) => {
      if (event.type === 'step') log.push(`step ${++told}`);
      if (event.type === 'paused' || event.type === 'continued' || event.type === 'epochEnded') log.push(event.type);
      options.onEvent?.(event);
    },
  });
  return { ...run, log };
}

const latest = async ({ store }: Run) => readCheckpoint((await store.readCheckpoint('small', 'latest')) as Uint8Array);

async function expectSame(one: Run, other: Run): Promise<void> {
  const [a, b] = [await latest(one), await latest(other)];
  expect([b.epoch, b.optimiser.step]).toEqual([a.epoch, a.optimiser.step]);
  expect(b.weights).toEqual(a.weights);
  expect(b.optimiser.moments).toEqual(a.optimiser.moments);
}

/** Without what clocks say, which a checkpoint holds too. */
function figures(events: readonly RunEvent[]): unknown {
  const clocks = new Set(['at', 'bytes', 'seconds', 'secondsPerStep', 'imagesPerSecond', 'etaSeconds']);
  const told = events.filter(({ type }) => type !== 'forecast');
  return JSON.parse(JSON.stringify(told, (key, value: unknown) => (clocks.has(key) ? undefined : value)));
}

let straight: Run;
beforeAll(async () => {
  straight = await smallRun();
});

describe('steps asked for one ahead', () => {
  it('are those of one after the other, with the same events in the same order', async () => {
    const run = await aheadRun();
    expect(run.error).toBeNull();
    await expectSame(straight, run);
    expect(figures(run.events)).toEqual(figures(straight.events));
    const epoch = ['ask 1', 'ask 2', 'step 1', 'ask 3', 'step 2', 'ask 4', 'step 3', 'step 4', 'epochEnded', 'ask 5'];
    expect(run.log.slice(0, 10)).toEqual(epoch);
  });

  it('before a pause, what was asked for ends', async () => {
    const control = createControl();
    const run = await aheadRun({
      control,
      onEvent: (event) => {
        if (event.type === 'step' && event.epoch === 1 && event.step === 1) control.pause();
        if (event.type === 'paused') setTimeout(() => control.continue(), 50);
      },
    });
    expect(run.log.slice(0, 9)).toEqual([
      'ask 1',
      'ask 2',
      'step 1',
      'step 2',
      'paused',
      'continued',
      'ask 3',
      'ask 4',
      'step 3',
    ]);
    await expectSame(straight, run);
  });

  it('a pause that is over before what was asked for has ended is none', async () => {
    const control = createControl();
    const run = await aheadRun({
      control,
      onEvent: (event) => {
        if (event.type !== 'step' || event.epoch > 1) return;
        if (event.step === 1) control.pause();
        if (event.step === 2) control.continue();
      },
    });
    expect(run.error).toBeNull();
    expect(run.log).not.toContain('paused');
    await expectSame(straight, run);
  });

  it('after a stop what was asked for still counts, and is told', async () => {
    const control = createControl();
    const run = await aheadRun({
      control,
      onEvent: (event) => {
        if (event.type === 'step' && event.epoch === 2 && event.step === 1) control.stop();
      },
    });
    expect(foldRun(run.events)).toMatchObject({ status: 'finished', reason: 'stopped', latestCheckpoint: 2 });
    expect(run.log.slice(-4)).toEqual(['ask 6', 'step 5', 'step 6', 'epochEnded']);
    expect((await latest(run)).optimiser.step).toBe(6);
  });

  it.each([2, 4])('suspended after step %i of an epoch and resumed, it is the uninterrupted run', async (step) => {
    const control = createControl();
    let after = 0;
    const run = await aheadRun({
      control,
      onEvent: (event) => {
        if (control.suspending) after += Number(event.type !== 'finished');
        if (event.type === 'step' && event.epoch === 3 && event.step === step) control.suspend();
      },
    });
    expect(run.error).toBeNull();
    expect(after).toBe(0);
    expect(run.record).toMatchObject({ state: 'stopped', latestEpoch: 2 });
    const resumed = await aheadRun({ store: run.store, record: run.record });
    await expectSame(straight, resumed);
    expect(foldRun(await run.store.events('small')).steps).toEqual(foldRun(straight.events).steps);
  });

  it('the first loss that is no number ends the run, whatever was asked for after it', async () => {
    let steps = 0;
    const run = await aheadRun({
      step: async (network, ...call) => {
        const number = ++steps;
        const result = await network.trainStep(...call);
        if (number === 7) throw new Error('nobody waits for this one');
        return number === 6 ? { ...result, loss: NaN } : result;
      },
    });
    expect(run.error).toBeInstanceOf(NotANumberError);
    expect((run.error as Error).message).toContain('epoch 2, step 2');
    expect(run.record).toMatchObject({ state: 'failed', latestEpoch: 1, bestEpoch: 1 });
    expect(run.log.slice(-2)).toEqual(['step 5', 'ask 7']);
  });
});
