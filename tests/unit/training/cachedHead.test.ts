/** The head on features that were computed once (`training.cached_views`), against the same head trained through the whole network. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { DeviceLostError } from '../../../src/engine/errors.ts';
import type { Engine, Network } from '../../../src/engine/types.ts';
import { featureStore } from '../../../src/platform/browser/featureStore.ts';
import { diskFeatureStore } from '../../../src/platform/node/diskFeatureStore.ts';
import { memoryRunStore } from '../../../src/platform/node/runStore.ts';
import { readCheckpoint } from '../../../src/training/checkpoint.ts';
import { createControl } from '../../../src/training/control.ts';
import { NotANumberError, StoppedBeforeFirstStepError } from '../../../src/training/errors.ts';
import type { RunEvent } from '../../../src/training/events.ts';
import { foldRun } from '../../../src/training/runState.ts';
import type { Checkpoint, FeatureStore, RunStore } from '../../../src/training/types.ts';
import { memoryKeyValue } from '../support/memoryKeyValue.ts';
import { openInNode } from '../support/openInNode.ts';
import { config, smallRun, type SmallRun } from './smallRun.ts';

type Run = Awaited<ReturnType<typeof smallRun>>;
const head = { layers: 'head', cached_views: 1 } as const;
const unvaried = { augmentation: { ...config.training.augmentation, enabled: false } };
/** Of the small data set. */
const [TRAIN, VAL] = [51, 9];

async function latest(store: RunStore): Promise<Checkpoint> {
  return readCheckpoint((await store.readCheckpoint('small', 'latest')) as Uint8Array);
}

const roomy = { free: () => Promise.resolve(null) };

async function expectSameBits(one: Run, other: Run): Promise<void> {
  expect([one.error, other.error]).toEqual([null, null]);
  const [a, b] = [await latest(one.store), await latest(other.store)];
  expect([b.epoch, b.optimiser.step, b.bestEpoch]).toEqual([a.epoch, a.optimiser.step, a.bestEpoch]);
  expect(a.temperature).toBeGreaterThan(0);
  expect(b.temperature).toBe(a.temperature);
  expect(b.weights).toEqual(a.weights);
  expect(b.optimiser.moments).toEqual(a.optimiser.moments);
  const figures = ({ history }: Checkpoint) => history.map(({ seconds: _, ...row }) => row);
  expect(figures(b)).toEqual(figures(a));
}

/** How many images went through the backbone, and through whole steps. */
function counted(): Pick<SmallRun, 'backbone' | 'step'> & { seen: number; steps: number } {
  const counts = {
    seen: 0,
    steps: 0,
    backbone: (network: Network, ...call: Parameters<Network['features']>) => {
      counts.seen += call[0].n;
      return network.features(...call);
    },
    step: (network: Network, ...call: Parameters<Network['trainStep']>) => {
      counts.steps += 1;
      return network.trainStep(...call);
    },
  };
  return counts;
}

describe('the head on cached features', () => {
  let once: Run;
  let counts: ReturnType<typeof counted>;
  beforeAll(async () => {
    counts = counted();
    once = await smallRun({ change: head, ...counts });
  });

  it('sends each image through the backbone once, and no step through the network', () => {
    expect(once.error).toBeNull();
    expect([counts.seen, counts.steps]).toEqual([TRAIN + VAL, 0]);
    const state = foldRun(once.events);
    expect(state.history.map(({ train, validation }) => [train.n, validation?.n])).toEqual(Array(4).fill([TRAIN, VAL]));
    expect(state.test?.report.n).toBe(15);
  });

  it.each([
    ['not varied, one view', { ...unvaried, cached_views: 1 }],
    ['varied, a view an epoch', { cached_views: 4 }],
  ])('learns what the head of the whole network learns, but for float16: %s', async (_, change) => {
    const whole = await smallRun({ change: { ...change, layers: 'head', cached_views: 0 } });
    const cached = await smallRun({ change: { ...change, layers: 'head' } });
    const [expected, found] = [await latest(whole.store), await latest(cached.store)];
    expect(found.history).toHaveLength(4);
    for (const [i, { train, validation }] of expected.history.entries()) {
      expect(Math.abs(found.history[i]!.train.loss / train.loss - 1)).toBeLessThan(1e-3);
      expect(Math.abs(found.history[i]!.validation!.loss / validation!.loss - 1)).toBeLessThan(1e-3);
    }
    expect(found.optimiser.step).toBe(expected.optimiser.step);
    for (const [name, { data }] of expected.weights) {
      const own = found.weights.get(name)!.data;
      const apart = Math.max(...data.map((value, i) => Math.abs(value - own[i]!)));
      // Adam moves each weight by the rate a step: sixteen of 0.03.
      expect(apart, name).toBeLessThan(name.startsWith('classifier') ? 2e-3 : 1e-12);
    }
    const test = (run: Run) => foldRun(run.events).test!.report.loss;
    expect(Math.abs(test(cached) / test(whole) - 1)).toBeLessThan(1e-3);
  });

  it('takes the views in turn: of two, epochs 1 and 3 see the draws of epoch 1', async () => {
    const counts = counted();
    const run = await smallRun({ change: { ...head, cached_views: 2, learning_rate: 1e-12 }, ...counts });
    expect(counts.seen).toBe(2 * TRAIN + VAL);
    // Nothing is learnt at this rate: an epoch's loss tells its pixels.
    const losses = foldRun(run.events).history.map(({ train }) => train.loss);
    const whole = await smallRun({ change: { layers: 'head', epochs: 2, learning_rate: 1e-12 } });
    const expected = foldRun(whole.events).history.map(({ train }) => train.loss);
    for (const [i, loss] of losses.entries()) expect(loss).toBeCloseTo(expected[i % 2]!, 4);
    expect(Math.abs(expected[0]! - expected[1]!)).toBeGreaterThan(1e-3);
  });

  it('computes no view that no epoch is left for', async () => {
    const counts = counted();
    await smallRun({ change: { ...head, cached_views: 9, epochs: 2 }, ...counts });
    expect(counts.seen).toBe(2 * TRAIN + VAL);
  });

  it('tells how far the pass is, before the first epoch', () => {
    const told = once.events.flatMap((event) =>
      event.type === 'progress' && event.what === 'features' ? [[event.done, event.total]] : [],
    );
    expect(told[0]).toEqual([0, TRAIN + VAL]);
    expect(told.at(-1)).toEqual([TRAIN + VAL, TRAIN + VAL]);
    const last = once.events.findLastIndex((event) => event.type === 'progress');
    expect(last).toBeLessThan(once.events.findIndex((event) => event.type === 'epochStarted'));
  });

  it('goes on when it was cut off, at the end of an epoch or within one, to the same bits', async () => {
    for (const when of ['epochEnded', 'epochStarted'] as const) {
      const control = createControl();
      const cut = await smallRun({
        change: head,
        control,
        onEvent: (event) => event.type === when && event.epoch === 3 && control.suspend(),
      });
      expect(cut.record).toMatchObject({ state: 'stopped', latestEpoch: when === 'epochEnded' ? 3 : 2 });
      await expectSameBits(once, await smallRun({ store: cut.store, record: cut.record, change: head }));
    }
  });

  it('writes checkpoints every few seconds, not every few milliseconds: at the end the newest and the best', async () => {
    const store = memoryRunStore();
    const written: number[] = [];
    const run = await smallRun({
      change: { ...head, epochs: 40, learning_rate: 3 },
      store: {
        ...store,
        writeCheckpoint: (record, epoch, bytes) => (written.push(epoch), store.writeCheckpoint(record, epoch, bytes)),
      },
    });
    const { history } = foldRun(run.events);
    expect(history).toHaveLength(40);
    const best = history.reduce((a, b) => (b.validation!.loss < a.validation!.loss ? b : a)).epoch;
    expect(best).toBeLessThan(40);
    expect(written.slice(-2)).toEqual([best, 40]);
    expect(written.length).toBeLessThan(6);
    expect(run.record).toMatchObject({ latestEpoch: 40, bestEpoch: best, state: 'completed' });
    const kept = readCheckpoint((await run.store.readCheckpoint('small', 'best')) as Uint8Array);
    expect([kept.epoch, kept.bestEpoch, kept.history.length]).toEqual([best, best, best]);
    // All epochs, but not all of their steps.
    expect(foldRun(await run.store.events('small')).history).toHaveLength(40);
    expect(run.events.filter((event) => event.type === 'step').length).toBeLessThan(80);
  });

  it('keeps the last good weights when it diverges', async () => {
    const run = await smallRun({
      change: { ...head, learning_rate: 10, optimizer: 'sgd', epochs: 400, ...unvaried, weight_decay: 10 },
    });
    expect(run.error).toBeInstanceOf(NotANumberError);
    expect(run.record.bestEpoch).not.toBeNull();
    expect((run.error as NotANumberError).kept).toContain(`epoch ${run.record.bestEpoch!}`);
    for (const { data } of (await latest(run.store)).weights.values()) expect(data.every(Number.isFinite)).toBe(true);
  });

  it('goes through the whole network, and says so, where a feature is too large for float16', async () => {
    const plain = await smallRun({ change: { layers: 'head', epochs: 1 } });
    const { weights } = await latest(plain.store);
    const large = new Map(weights);
    const norm = weights.get('norm.weight')!;
    large.set('norm.weight', { ...norm, data: norm.data.map(() => 1e6) });
    const first = () => Promise.resolve({ weights: large, origin: { kind: 'random', seed: 5 } as const, warnings: [] });
    const counts = counted();
    const cached = await smallRun({ change: head, weights: first, ...counts });
    expect(counts.steps).toBe(16);
    expect(foldRun(cached.events).notices.map(({ text }) => text)).toContainEqual(
      expect.stringContaining('goes through the whole network') as string,
    );
    await expectSameBits(await smallRun({ change: { layers: 'head' }, weights: first }), cached);
  });
});

describe('features that are kept', () => {
  let straight: Run;
  let database: ReturnType<typeof memoryKeyValue>;
  let features: FeatureStore;
  const chunks = (): string[] => [...database.held.keys()].filter((key) => key.startsWith('chunk/'));
  beforeAll(async () => {
    straight = await smallRun({ change: head });
    database = memoryKeyValue();
    features = featureStore(database.records, roomy);
    await smallRun({ change: head, features });
  });
  const again = async (change: SmallRun['change'] = head, more: Partial<SmallRun> = {}) => {
    const counts = counted();
    const run = await smallRun({ change, features, ...counts, ...more });
    return { run, seen: counts.seen };
  };

  it('are found by the next run, which has the same bits', async () => {
    const { run, seen } = await again();
    expect(seen).toBe(0);
    await expectSameBits(straight, run);
  });

  it('are found on the disk, too', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'features-'));
    const onDisk = { features: diskFeatureStore(folder) };
    await expectSameBits(straight, (await again(head, onDisk)).run);
    const { run, seen } = await again(head, onDisk);
    rmSync(folder, { recursive: true });
    expect(seen).toBe(0);
    await expectSameBits(straight, run);
  });

  it('are found by a run with another rate and another optimiser, and more epochs', async () => {
    expect((await again({ ...head, learning_rate: 0.1, optimizer: 'sgd', epochs: 6 })).seen).toBe(0);
  });

  it.each([
    ['another seed', { seed: 6 }, TRAIN],
    ['another augmentation', { augmentation: { ...config.training.augmentation, degrees: 7 } }, TRAIN],
    ['none', unvaried, TRAIN],
    ['a second view', { cached_views: 2 }, TRAIN],
  ])('serve no other pixels: %s', async (_, change, seen) => {
    expect((await again({ ...head, ...change })).seen).toBe(seen);
  });

  it('serve no other backbone, but another head', async () => {
    const { weights } = await latest(straight.store);
    const changed = (name: string) => () => {
      const tensor = weights.get(name)!;
      const data = tensor.data.slice();
      data[0] = data[0]! + 1e-6;
      return Promise.resolve({
        weights: new Map([...weights, [name, { ...tensor, data }]]),
        origin: { kind: 'random', seed: 5 } as const,
        warnings: [],
      });
    };
    expect((await again(head, { weights: changed('classifier.weight') })).seen).toBe(0);
    expect((await again(head, { weights: changed('norm.running_var') })).seen).toBe(TRAIN + VAL);
  });

  it('serve no engine whose numbers come about in another way', async () => {
    const engine = async (): Promise<Engine> => ({ ...(await openInNode('wasm')), arithmetic: 'another' });
    expect((await again(head, { engine })).seen).toBe(TRAIN + VAL);
  });

  it('are computed anew where they are damaged, gone or cut short, chunk by chunk, to the same bits', async () => {
    const [first, second, third, ...rest] = chunks();
    expect(rest.length).toBeGreaterThan(0);
    const damaged = (database.held.get(first!) as Uint8Array).slice();
    damaged[7]! ^= 1;
    database.held.set(first!, damaged);
    database.held.delete(second!);
    database.held.set(third!, (database.held.get(third!) as Uint8Array).slice(0, -2));
    const { run, seen } = await again();
    expect(seen).toBeGreaterThan(0);
    expect(seen).toBeLessThan(TRAIN + VAL);
    await expectSameBits(straight, run);
    expect((await again()).seen).toBe(0);
  });

  it('are no condition: with a disk that is full, or a database that is broken, a run has the same bits', async () => {
    const broken = (): Promise<never> => Promise.reject(new Error('the disk is full'));
    for (const read of [features.read, broken]) {
      let writes = 0;
      const full = { ...features, read, write: () => ((writes += 1), broken()) };
      const { run } = await again({ ...head, seed: 5 }, { features: full });
      await expectSameBits(straight, run);
      expect(writes).toBeLessThan(2);
    }
  });

  it('of a pass that was stopped are there for the next one; the run itself leaves nothing', async () => {
    const own = featureStore(memoryKeyValue().records, roomy);
    const control = createControl();
    let seen = 0;
    const stopped = await smallRun({
      change: head,
      features: own,
      control,
      backbone: (network, batch) => {
        seen += batch.n;
        if (seen > 20) control.stop();
        return network.features(batch);
      },
    });
    expect(stopped.error).toBeInstanceOf(StoppedBeforeFirstStepError);
    expect(await stopped.store.list()).toEqual([]);
    expect(seen).toBeLessThan(TRAIN);
    const { run, seen: rest } = await again(head, { features: own });
    expect(seen + rest).toBe(TRAIN + VAL);
    await expectSameBits(straight, run);
  });

  it('of a device that is lost in the pass are taken up by the next one', async () => {
    const own = featureStore(memoryKeyValue().records, roomy);
    let [calls, seen] = [0, 0];
    const run = await smallRun({
      change: head,
      features: own,
      backbone: (network, batch) => {
        calls += 1;
        if (calls === 3) throw new DeviceLostError('unplugged');
        seen += batch.n;
        return network.features(batch);
      },
    });
    expect(run.events.filter(({ type }) => type === 'deviceLost')).toHaveLength(1);
    expect(seen).toBe(TRAIN + VAL);
    await expectSameBits(straight, run);
  });

  it('can be waited for: a pause in the pass holds it', async () => {
    const control = createControl();
    const told: RunEvent['type'][] = [];
    let resumed = false;
    let early = 0;
    const run = await smallRun({
      change: head,
      control,
      backbone: (network, batch) => {
        if (control.paused && !resumed) early += 1;
        return network.features(batch);
      },
      onEvent: (event) => {
        told.push(event.type);
        if (event.type === 'progress' && event.what === 'features' && event.done === 0) control.pause();
        if (event.type === 'paused') setTimeout(() => ((resumed = true), control.continue()), 50);
      },
    });
    expect(told.filter((type) => type === 'paused' || type === 'continued')).toEqual(['paused', 'continued']);
    expect(early).toBeLessThan(2);
    await expectSameBits(straight, run);
  });
});
