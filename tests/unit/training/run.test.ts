import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { splitWith } from '../../../src/dataset/members.ts';
import { DeviceLostError, GpuError, OutOfMemoryError } from '../../../src/engine/errors.ts';
import type { ImageBatch, Network } from '../../../src/engine/types.ts';
import { StorageFullError } from '../../../src/platform/browser/keyValue.ts';
import { diskRunStore } from '../../../src/platform/node/diskRunStore.ts';
import { eventLine, eventsOf } from '../../../src/platform/node/runEventText.ts';
import { memoryRunStore } from '../../../src/platform/node/runStore.ts';
import { philox4x32 } from '../../../src/random.ts';
import { readCheckpoint, writeCheckpoint } from '../../../src/training/checkpoint.ts';
import { newRun } from '../../../src/training/run.ts';
import { createControl } from '../../../src/training/control.ts';
import { NoTrainingImagesError, NotANumberError, StoppedBeforeFirstStepError } from '../../../src/training/errors.ts';
import type { RunEvent } from '../../../src/training/events.ts';
import { foldRun } from '../../../src/training/runState.ts';
import type { Checkpoint, RunStore } from '../../../src/training/types.ts';
import { openInNode } from '../support/openInNode.ts';
import { config, dataset, smallRun } from './smallRun.ts';

type Run = Awaited<ReturnType<typeof smallRun>>;

async function latest(store: RunStore): Promise<Checkpoint> {
  return readCheckpoint((await store.readCheckpoint('small', 'latest')) as Uint8Array);
}
const losses = (events: readonly RunEvent[]): number[] => foldRun(events).steps.map((point) => point.loss);

/** Weights, running statistics and moments, bit for bit. */
async function expectSame(one: Run, other: Run): Promise<void> {
  const [a, b] = [await latest(one.store), await latest(other.store)];
  expect(b.epoch).toBe(a.epoch);
  expect(b.optimiser.step).toBe(a.optimiser.step);
  expect(b.temperature).toBe(a.temperature);
  for (const [name, { data }] of a.weights) expect(b.weights.get(name)?.data, name).toEqual(data);
  for (const [name, { data }] of a.optimiser.moments) expect(b.optimiser.moments.get(name)?.data, name).toEqual(data);
}

/** A run of four epochs that was suspended after `epoch`. */
async function cutAfter(epoch: number): Promise<Run> {
  const control = createControl();
  const run = await smallRun({
    control,
    onEvent: (event) => event.type === 'checkpointSaved' && event.epoch === epoch && control.suspend(),
  });
  expect(run.record).toMatchObject({ state: 'stopped', latestEpoch: epoch });
  return run;
}

const swapped = ([first, second, ...rest]: readonly number[]): number[] => [second!, first!, ...rest];

let straight: Run;
beforeAll(async () => {
  straight = await smallRun();
});

describe('a run', () => {
  it('learns: the loss of the last epoch is well under chance', () => {
    expect(straight.error).toBeNull();
    const state = foldRun(straight.events);
    // Three classes by chance: ln 3 = 1.099 nats.
    expect(state.history.at(-1)?.train.loss).toBeLessThan(0.95);
    expect(state.status).toBe('finished');
    expect(straight.record.state).toBe('completed');
  });

  it('trains on every image but those of validation and Test, and judges each split by itself', () => {
    const state = foldRun(straight.events);
    expect(state.dataset?.counts).toEqual({ train: 51, val: 9, test: 15 });
    expect(state.history.map((row) => [row.train.n, row.validation?.n])).toEqual(Array(4).fill([51, 9]));
    expect(state.test?.report.n).toBe(15);
  });

  it('looks at Test once, at the end, with the epoch of the lowest validation loss', () => {
    const tested = straight.events.filter((event) => event.type === 'testEvaluated');
    expect(tested).toHaveLength(1);
    const state = foldRun(straight.events);
    const lowest = state.history.reduce((a, b) => (b.validation!.loss < a.validation!.loss ? b : a));
    expect(tested[0]).toMatchObject({ epoch: lowest.epoch });
    expect(straight.events.findIndex((event) => event.type === 'evaluating' && event.split === 'test')).toBeGreaterThan(
      straight.events.findLastIndex((event) => event.type === 'epochEnded'),
    );
  });

  it('has in each checkpoint the temperature that fits its own epoch’s validation; Test’s probabilities are by the best one’s', async () => {
    const { val } = splitWith(dataset, config.data, null);
    /** Of the newest pass over validation. */
    let logits: number[] = [];
    const found = new Map<number, { temperature: number; logits: number[] }>();
    const store = memoryRunStore();
    const run = await smallRun({
      store: {
        ...store,
        writeCheckpoint: (record, epoch, bytes) => {
          found.set(epoch, { temperature: readCheckpoint(bytes).temperature ?? NaN, logits });
          return store.writeCheckpoint(record, epoch, bytes);
        },
      },
      predict: async (network, batch) => {
        const answer = await network.predict(batch);
        logits = [...answer];
        return answer;
      },
    });
    expect(run.error).toBeNull();
    expect([...found.keys()]).toEqual([1, 2, 3, 4]);
    /** Cross-entropy with targets of 10/11 and 1/22: nine images, three classes. */
    const cost = (of: readonly number[], temperature: number, right: number): number =>
      val.reduce((sum, index, i) => {
        const row = of.slice(3 * i, 3 * i + 3).map((x) => x / temperature);
        const total = Math.log(row.reduce((all, x) => all + Math.exp(x), 0));
        const { label } = dataset.images[index]!;
        return sum + row.reduce((all, x, c) => all + (c === label ? right : (1 - right) / 2) * (total - x), 0);
      }, 0);
    for (const { temperature, logits: of } of found.values()) {
      expect(of).toHaveLength(27);
      if (temperature === 1) continue;
      expect(cost(of, temperature, 1)).toBeLessThan(cost(of, 1, 1));
      for (const other of [temperature * 0.99, temperature * 1.01])
        expect(cost(of, temperature, 10 / 11)).toBeLessThan(cost(of, other, 10 / 11));
    }
    const { bestEpoch, test } = foldRun(run.events);
    const temperatures = [...found.values()].map(({ temperature }) => temperature);
    expect(temperatures.filter((one) => one !== 1).length).toBeGreaterThan(1);
    expect(test?.report.temperature).toBe(found.get(bestEpoch!)?.temperature);
  });

  it('without validation has no temperature to say', async () => {
    const record = newRun('small', { ...config, data: { ...config.data, validation_split: 0 } }, dataset, null, null);
    const run = await smallRun({
      record: { ...record, config: { ...record.config, training: { ...config.training, epochs: 1 } } },
    });
    expect(run.error).toBeNull();
    const { temperature, history } = await latest(run.store);
    expect(history[0]?.validation).toBeNull();
    expect(temperature).toBeUndefined();
    expect(foldRun(run.events).test?.report.temperature).toBe(1);
  });

  it('stores a log that folds to the state that was shown', async () => {
    const stored = foldRun(await straight.store.events('small'));
    expect({ ...stored, preparing: null }).toEqual({ ...foldRun(straight.events), preparing: null });
  });
});

describe('a run that is cut off', () => {
  it('goes on from its checkpoint as if nothing had happened: 2 epochs, a crash, 2 epochs = 4 epochs', async () => {
    let steps = 0;
    const broken = await smallRun({
      step: (network, ...call) => {
        steps += 1;
        if (steps === 11) throw new Error('the tab was closed');
        return network.trainStep(...call);
      },
    });
    expect(broken.record).toMatchObject({ state: 'failed', latestEpoch: 2 });
    const resumed = await smallRun({ store: broken.store, record: broken.record });
    expect(resumed.events[0]).toMatchObject({ type: 'resumed', fromEpoch: 2 });
    await expectSame(straight, resumed);
    expect(losses([...broken.events, ...resumed.events])).toEqual(losses(straight.events));
  });

  it('says in each checkpoint what is drawn next: generator, seeds, streams, counters, and the images of the next epoch', async () => {
    const { random, order, epoch, optimiser } = await latest(straight.store);
    expect([epoch, optimiser.step]).toEqual([4, 16]);
    expect(random).toEqual({
      generator: 'philox4x32-10',
      seeds: { training: 5, split: 1 },
      streams: { order: 1, augmentation: 2, dropout: 0x64726f70, split: 0x73706c69 },
      augmentation: 2,
      next: { epoch: 5, step: 16 },
    });
    const trained = splitWith(dataset, config.data, null).train;
    expect(order?.toSorted((a, b) => a - b)).toEqual(trained);
    // Fisher–Yates with Philox words of counter (block, stream 1, epoch 5, 0) and key (seed 5, 0), by hand.
    const byHand = [...trained];
    for (let i = byHand.length - 1, draw = 0; i > 0; i--, draw++) {
      const word = philox4x32([draw >> 2, 1, 5, 0], [5, 0])[draw & 3]!;
      const j = Number((BigInt(word) * BigInt(i + 1)) >> 32n);
      [byHand[i], byHand[j]] = [byHand[j]!, byHand[i]!];
    }
    expect(order).toEqual(byHand);
  });

  it('sees in its next epoch the images that the checkpoint names, in that order', async () => {
    const cut = await cutAfter(2);
    const { order } = await latest(cut.store);
    const read: number[] = [];
    const { config: own } = cut.record;
    const record = { ...cut.record, config: { ...own, training: { ...own.training, epochs: 3 } } };
    await smallRun({ store: cut.store, record, onRead: (indices) => read.push(...indices) });
    expect(read.slice(0, 51)).toEqual(order);
  });

  it('goes on from a checkpoint of an earlier page, which says nothing of it, to the same weights', async () => {
    const cut = await cutAfter(2);
    const { random, order, ...earlier } = await latest(cut.store);
    expect([random, order]).not.toContain(undefined);
    await cut.store.writeCheckpoint(cut.record, 2, writeCheckpoint(earlier));
    await expectSame(straight, await smallRun({ store: cut.store, record: cut.record }));
  });

  it.each([
    ['by an earlier page, which counted no ways', ({ random: _, order: __, ...earlier }) => earlier, true, 1],
    ['in another way', (c) => ({ ...c, random: { ...c.random!, augmentation: 1 } }), true, 1],
    ['in this way', (c) => c, true, 0],
    ['not at all', (c) => ({ ...c, random: { ...c.random!, augmentation: 1 } }), false, 0],
  ] satisfies [string, (checkpoint: Checkpoint) => Checkpoint, boolean, number][])(
    'whose images were varied %s says so when it goes on, if its curve may bend',
    async (_, change, enabled, times) => {
      const cut = await cutAfter(2);
      await cut.store.writeCheckpoint(cut.record, 2, writeCheckpoint(change(await latest(cut.store))));
      const { config: own } = cut.record;
      const augmentation = { ...own.training.augmentation, enabled };
      const record = { ...cut.record, config: { ...own, training: { ...own.training, augmentation } } };
      const resumed = await smallRun({ store: cut.store, record });
      expect(resumed.error).toBeNull();
      const bends = (events: readonly RunEvent[]) =>
        foldRun(events).notices.filter(({ text }) => text.includes('its curve may bend here'));
      expect(bends(resumed.events)).toHaveLength(times);
      expect((await latest(resumed.store)).random?.augmentation).toBe(2);
    },
  );

  it.each([
    [
      'another generator',
      (c) => ({ random: { ...c.random!, generator: 'pcg64' } }),
      /come from pcg64, .* philox4x32-10/,
    ],
    ['another stream', (c) => ({ random: { ...c.random!, streams: { ...c.random!.streams, dropout: 3 } } }), /dropout/],
    ['another seed', (c) => ({ random: { ...c.random!, seeds: { training: 6, split: 1 } } }), /training seed 6, .* 5/],
    ['other counters', (c) => ({ random: { ...c.random!, next: { epoch: 3, step: 9 } } }), /counters/],
    ['two images that changed places', (c) => ({ order: swapped(c.order!) }), /order .* seed 5 gives/],
    ['an image that is not trained on', (c) => ({ order: [...c.order!.slice(1), 74] }), /names 51 images .* the 51 of/],
    ['an image twice', (c) => ({ order: [...c.order!.slice(1), c.order![1]!] }), /names 51 images/],
    ['fewer images', (c) => ({ order: c.order!.slice(1) }), /names 50 images .* the 51 of/],
  ] satisfies [string, (checkpoint: Checkpoint) => Partial<Checkpoint>, RegExp][])(
    'is not gone on with, by name, where its checkpoint has %s; nothing is changed',
    async (_, change, message) => {
      const cut = await cutAfter(1);
      const checkpoint = await latest(cut.store);
      await cut.store.writeCheckpoint(cut.record, 1, writeCheckpoint({ ...checkpoint, ...change(checkpoint) }));
      const [record, events] = [await cut.store.read('small'), await cut.store.events('small')];
      const refused = await smallRun({ store: cut.store, record: cut.record });
      expect(refused.error).toMatchObject({
        name: 'OtherDrawsError',
        message: expect.stringMatching(message) as string,
      });
      expect(refused.events).toEqual([]);
      expect([await cut.store.read('small'), await cut.store.events('small')]).toEqual([record, events]);
    },
  );

  it('replaces a lost device by itself and ends with the same weights', async () => {
    let steps = 0;
    const run = await smallRun({
      step: (network, ...call) => {
        steps += 1;
        if (steps === 7) throw new DeviceLostError('the driver was reset');
        return network.trainStep(...call);
      },
    });
    expect(run.error).toBeNull();
    expect(run.events.filter((event) => event.type === 'deviceLost')).toHaveLength(1);
    expect(run.events.find((event) => event.type === 'resumed')).toMatchObject({ fromEpoch: 1 });
    await expectSame(straight, run);
  });

  it('gives up, by name, on a device that is lost again and again', async () => {
    const run = await smallRun({
      step: () => {
        throw new DeviceLostError('no luck');
      },
    });
    expect(run.error).toMatchObject({ name: 'DeviceKeepsFailingError' });
    expect(run.events.at(-1)).toMatchObject({ type: 'failed', error: { name: 'DeviceKeepsFailingError' } });
  });
});

describe('trouble in mid-run', () => {
  it('validation losses that are no numbers: what is best does not depend on where a run was cut off', async () => {
    let epoch = 0;
    const control = createControl();
    const sick = {
      onEvent: (event: RunEvent) => event.type === 'epochStarted' && (epoch = event.epoch),
      predict: async (network: Network, batch: ImageBatch) => {
        const logits = await network.predict(batch);
        return epoch === 1 ? logits.fill(NaN) : logits;
      },
    };
    const whole = await smallRun(sick);
    expect(whole.record.bestEpoch).toBeGreaterThan(1);
    epoch = 0;
    const cut = await smallRun({
      ...sick,
      control,
      onEvent: (event) => {
        sick.onEvent(event);
        if (event.type === 'checkpointSaved') control.suspend();
      },
    });
    expect(cut.record).toMatchObject({ latestEpoch: 1, bestEpoch: 1 });
    expect((await latest(cut.store)).history[0]?.validation?.loss).toBeNaN();
    const resumed = await smallRun({ ...sick, store: cut.store, record: cut.record });
    expect(resumed.record.bestEpoch).toBe(whole.record.bestEpoch);
    expect((await latest(resumed.store)).history.map((row) => row.best)).toEqual(
      (await latest(whole.store)).history.map((row) => row.best),
    );
    // The log on disk too has no NaN.
    const read = eventsOf((await whole.store.events('small')).map(eventLine).join(''));
    expect(foldRun(read).history[0]?.validation?.loss).toBeNaN();
  });

  it('a loss that is no number ends the run and keeps the last good weights', async () => {
    let steps = 0;
    const run = await smallRun({
      step: async (network, ...call) => {
        steps += 1;
        const result = await network.trainStep(...call);
        return steps === 6 ? { ...result, loss: NaN } : result;
      },
    });
    expect(run.error).toBeInstanceOf(NotANumberError);
    expect((run.error as NotANumberError).kept).toContain('epoch 1');
    expect(run.record).toMatchObject({ state: 'failed', bestEpoch: 1 });
    const { weights } = await latest(run.store);
    for (const { data } of weights.values()) expect(data.every(Number.isFinite)).toBe(true);
  });

  it('weights that the last update of an epoch spoiled never become a checkpoint', async () => {
    let steps = 0;
    const run = await smallRun({
      step: async (network, ...call) => {
        steps += 1;
        const result = await network.trainStep(...call);
        // 51 images in batches of 16: four steps an epoch.
        if (steps === 8) {
          const weights = new Map(await network.readWeights());
          weights.set('classifier.bias', { shape: [3], data: Float32Array.of(0, NaN, 0) });
          await network.writeWeights(weights);
        }
        return result;
      },
    });
    expect(run.error).toBeInstanceOf(NotANumberError);
    expect(run.record).toMatchObject({ state: 'failed', latestEpoch: 1, bestEpoch: 1 });
    const { weights } = await latest(run.store);
    for (const { data } of weights.values()) expect(data.every(Number.isFinite)).toBe(true);
  });

  it('a full wasm heap splits the batch too', async () => {
    const run = await smallRun({
      step: (network, parts, rate) => {
        if (parts.some((part) => part.n > 8)) throw new OutOfMemoryError(2 ** 20);
        return network.trainStep(parts, rate);
      },
    });
    expect(run.error).toBeNull();
    expect((await latest(run.store)).batchnormBatch).toBe(8);
  });

  it('a batch that the device refuses goes through in parts, of 8 images at least', async () => {
    const run = await smallRun({
      step: (network, parts, rate) => {
        if (parts.some((part) => part.n > 8)) throw new GpuError('out of memory');
        return network.trainStep(parts, rate);
      },
    });
    expect(run.error).toBeNull();
    // Said once.
    expect(run.events.filter(({ type }) => type === 'batchSplit')).toMatchObject([{ batchnormBatch: 8 }]);
    expect((await latest(run.store)).batchnormBatch).toBe(8);
  });

  it('a batch that fits with recomputation alone is built that way, stays whole, and the log says so', async () => {
    const built: (boolean | undefined)[] = [];
    const { events, error } = await smallRun({
      change: { epochs: 1 },
      engine: async () => {
        const engine = await openInNode('wasm');
        return {
          ...engine,
          // Of a device for which 16 images would be too much without it.
          stepBytes: (graph, step) => {
            const { total, ...largest } = engine.stepBytes(graph, step);
            return { ...largest, total: step.recompute ? total : 2 ** 40 };
          },
          build: (graph, weights, options) => {
            built.push(options.recompute);
            return engine.build(graph, weights, options);
          },
        };
      },
    });
    expect(error).toBeNull();
    expect(built).toEqual([true]);
    const notices = events.flatMap((event) => (event.type === 'notice' ? [event.text] : []));
    expect(notices.filter((text) => text.includes('computed twice'))).toHaveLength(1);
    expect(events.some(({ type }) => type === 'batchSplit')).toBe(false);
  });

  it('a full disk ends the run by name and keeps the checkpoint before', async () => {
    const store = memoryRunStore();
    const full = new StorageFullError('this training run', null);
    const run = await smallRun({
      store: {
        ...store,
        writeCheckpoint: (record, epoch, bytes) =>
          epoch === 2 ? Promise.reject(full) : store.writeCheckpoint(record, epoch, bytes),
        appendEvents: (id, events) =>
          events.some((event) => event.type === 'failed') ? Promise.reject(full) : store.appendEvents(id, events),
      },
    });
    expect(run.error).toBe(full);
    expect(run.events.at(-1)).toMatchObject({ type: 'failed', error: { name: 'StorageFullError' } });
    expect((await latest(store)).epoch).toBe(1);
  });

  it('a run that never came to its first epoch leaves nothing behind', async () => {
    const run = await smallRun({ weights: () => Promise.reject(new Error('no weights')) });
    expect(run.error).toMatchObject({ message: 'no weights' });
    expect(await run.store.list()).toEqual([]);
    expect(await run.store.events('small')).toEqual([]);
  });

  it('a data set without training images is a named error', async () => {
    const data = { ...dataset, images: dataset.images.map((image) => ({ ...image, given: 'test' as const })) };
    const run = await smallRun({ data });
    expect(run.error).toBeInstanceOf(NoTrainingImagesError);
    const dir = mkdtempSync(join(tmpdir(), 'failed-start-'));
    try {
      await smallRun({ data, store: diskRunStore(dir) });
      expect(readdirSync(dir)).toEqual([]);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

describe('commands', () => {
  it('stop in mid-epoch keeps what was learnt and judges it', async () => {
    const control = createControl();
    const run = await smallRun({
      control,
      onEvent: (event) => {
        if (event.type === 'step' && event.epoch === 2 && event.step === 2) control.stop();
      },
    });
    const state = foldRun(run.events);
    expect([state.status, state.reason, state.latestCheckpoint]).toEqual(['finished', 'stopped', 2]);
    expect(state.steps).toHaveLength(6);
    expect(state.test?.report.n).toBe(15);
    expect(run.record.state).toBe('stopped');
  });

  it('stop while weights are on their way ends the wait and leaves nothing behind', async () => {
    const control = createControl();
    setTimeout(() => control.stop(), 20);
    const run = await smallRun({
      control,
      weights: (signal) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('given up')))),
    });
    expect(run.error).toMatchObject({ message: 'given up' });
    expect(await run.store.list()).toEqual([]);
  });

  it('a pause holds the run between two steps and changes nothing', async () => {
    const control = createControl();
    const run = await smallRun({
      control,
      onEvent: (event) => {
        if (event.type === 'step' && event.epoch === 1 && event.step === 2) control.pause();
        if (event.type === 'paused') setTimeout(() => control.continue(), 50);
      },
    });
    const kinds = run.events.map((event) => event.type);
    expect(kinds.slice(kinds.indexOf('paused'), kinds.indexOf('paused') + 3)).toEqual(['paused', 'continued', 'step']);
    await expectSame(straight, run);
  });
});

describe('suspended, because the process has to end', () => {
  it.each([
    ['in mid-epoch', (event: RunEvent) => event.type === 'step' && event.step === 2],
    ['after the last step of an epoch', (event: RunEvent) => event.type === 'step' && event.step === 4],
    ['during validation', (event: RunEvent) => event.type === 'evaluating'],
  ])('%s: the last whole epoch stays, and resumed it is the uninterrupted run', async (_, when) => {
    const control = createControl();
    let epoch = 0;
    let after = 0;
    const run = await smallRun({
      control,
      onEvent: (event) => {
        if (control.suspending) after += Number(event.type !== 'finished');
        if (event.type === 'epochStarted') epoch = event.epoch;
        if (epoch === 3 && when(event)) control.suspend();
      },
    });
    expect(run.error).toBeNull();
    // It ends at once: no step, no pass, no checkpoint comes after it.
    expect(after).toBe(0);
    expect(run.record).toMatchObject({ state: 'stopped', latestEpoch: 2 });
    expect((await latest(run.store)).history.map((row) => row.epoch)).toEqual([1, 2]);
    expect(foldRun(run.events)).toMatchObject({ status: 'finished', reason: 'stopped', test: null });
    const resumed = await smallRun({ store: run.store, record: run.record });
    expect(resumed.record).toMatchObject({ state: 'completed', latestEpoch: 4, bestEpoch: straight.record.bestEpoch });
    await expectSame(straight, resumed);
    const stored = foldRun(await run.store.events('small'));
    const whole = foldRun(straight.events);
    expect(stored.steps).toEqual(whole.steps);
    expect(stored.test).toEqual(whole.test);
    const figures = ({ history }: typeof whole) => history.map(({ seconds: __, ...row }) => row);
    expect(figures(stored)).toEqual(figures(whole));
  });

  it('in its first epoch: says that nothing is kept, and keeps nothing', async () => {
    const control = createControl();
    const run = await smallRun({ control, onEvent: (event) => event.type === 'step' && control.suspend() });
    expect(run.error).toBeInstanceOf(StoppedBeforeFirstStepError);
    expect(run.error).toMatchObject({ message: 'The run was stopped before its first epoch was finished.' });
    expect((run.error as StoppedBeforeFirstStepError).kept).toContain('Nothing of this run is kept');
    expect(run.events.filter((event) => event.type === 'step')).toHaveLength(1);
    expect(await run.store.list()).toEqual([]);
    expect(await run.store.events('small')).toEqual([]);
  });

  it('while Test is judged: the pass is given up, and made once the run is resumed', async () => {
    const control = createControl();
    const run = await smallRun({
      control,
      onEvent: (event) => {
        if (event.type === 'evaluating' && event.split === 'test') control.suspend();
      },
    });
    expect(run.error).toBeNull();
    expect(run.record).toMatchObject({ state: 'stopped', latestEpoch: 4 });
    expect(run.events.some((event) => event.type === 'testEvaluated')).toBe(false);
    const resumed = await smallRun({ store: run.store, record: run.record });
    expect(resumed.events.some((event) => event.type === 'step')).toBe(false);
    const [test, whole] = [resumed, straight].map(({ events }) => foldRun(events).test);
    expect(test).toEqual(whole);
  });

  it('before the step of a resumed run: nothing is lost of it', async () => {
    const first = createControl();
    const stopped = await smallRun({
      control: first,
      onEvent: (event) => event.type === 'checkpointSaved' && event.epoch === 2 && first.suspend(),
    });
    const second = createControl();
    const again = await smallRun({
      store: stopped.store,
      record: stopped.record,
      control: second,
      onEvent: (event) => event.type === 'deviceReady' && second.suspend(),
    });
    expect(again.record).toMatchObject({ state: 'stopped', latestEpoch: 2 });
    expect(again.events.some((event) => event.type === 'step')).toBe(false);
    await expectSame(straight, await smallRun({ store: stopped.store, record: again.record }));
  });

  it('before the first step: as a stop, nothing is left', async () => {
    const control = createControl();
    const run = await smallRun({ control, onEvent: (event) => event.type === 'deviceReady' && control.suspend() });
    expect(run.error).toBeInstanceOf(StoppedBeforeFirstStepError);
    expect(await run.store.list()).toEqual([]);
  });
});
