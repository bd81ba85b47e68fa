import { describe, expect, it } from 'vitest';
import { DeviceLostError } from '../../../src/engine/errors.ts';
import type { Backend } from '../../../src/engine/types.ts';
import { memoryRunStore } from '../../../src/platform/node/runStore.ts';
import { createControl } from '../../../src/training/control.ts';
import { secondsPerImage } from '../../../src/training/earlierRuns.ts';
import { foldRun } from '../../../src/training/runState.ts';
import { openInNode } from '../support/openInNode.ts';
import { config, smallRun } from './smallRun.ts';

describe('a run stays on the device that it began on', () => {
  it('asks for it when it goes on, after a loss and after an interruption', async () => {
    const asked: (Backend | null)[] = [];
    const engine = (began: Backend | null) => {
      asked.push(began);
      return openInNode('wasm');
    };
    const control = createControl();
    let steps = 0;
    const cut = await smallRun({
      engine,
      control,
      change: { device: 'auto' },
      step: (network, ...call) => {
        if (++steps === 2) throw new DeviceLostError('the driver was reset');
        return network.trainStep(...call);
      },
      onEvent: (event) => event.type === 'checkpointSaved' && event.epoch === 1 && control.suspend(),
    });
    expect(asked).toEqual([null, 'wasm']);
    await smallRun({ engine, store: cut.store, record: cut.record });
    expect(asked).toEqual([null, 'wasm', 'wasm']);
  });
});

describe('how long an epoch takes', () => {
  it('is told once, from the first steps, while the first epoch lasts', async () => {
    const told = async (change: Parameters<typeof smallRun>[0]) => {
      const { events } = await smallRun(change);
      return events.flatMap((event, i) => (event.type === 'forecast' ? [{ event, i, events }] : []));
    };
    // Three steps an epoch: it is over before anything can be told.
    expect(await told({ change: { epochs: 1 } })).toEqual([]);
    const { record } = await smallRun({ change: { epochs: 1 } });
    const short = { ...record, config: { ...config, data: { ...config.data, batch_size: 4 } }, latestEpoch: null };
    const [one, ...others] = await told({ record: { ...short, bestEpoch: null } });
    expect(others).toEqual([]);
    const { steps, epochs } = one!.events.reduce(
      (sum, { type }, i) => {
        if (i >= one!.i) return sum;
        return { steps: sum.steps + Number(type === 'step'), epochs: sum.epochs + Number(type === 'epochEnded') };
      },
      { steps: 0, epochs: 0 },
    );
    expect([steps, epochs]).toEqual([3, 0]);
    expect(foldRun(one!.events).secondsPerEpoch).toBe(one!.event.secondsPerEpoch);
  });

  it('is known of runs like it on the same device, and of no other', async () => {
    const store = memoryRunStore();
    const { events, record } = await smallRun({ store });
    const { history, adapter } = foldRun(events);
    const expected = history
      .slice(1)
      .map(({ seconds, train, validation }) => seconds / (train.n + validation!.n / 3))
      .sort((a, b) => a - b)[1];
    expect(await secondsPerImage(store, adapter!, record.config)).toBe(expected);
    expect(await secondsPerImage(store, { ...adapter!, label: 'Another GPU' }, record.config)).toBeNull();
    const other = { ...config, data: { ...config.data, img_size: 64 } };
    expect(await secondsPerImage(store, adapter!, other)).toBeNull();
    // On a device that has no float16 the run would be the same; on one that has, another.
    const half = { ...config, training: { ...config.training, precision: 'float16' } as const };
    expect(await secondsPerImage(store, adapter!, half)).toBe(expected);
    const list = () => store.list();
    const onWebGpu = events.map((event) =>
      event.type === 'deviceReady' ? { ...event, adapter: { ...event.adapter, backend: 'webgpu' as const } } : event,
    );
    const onGpu = { list, events: () => Promise.resolve(onWebGpu) };
    const gpu = { ...adapter!, backend: 'webgpu', features: ['shader-f16'] } as const;
    expect(await secondsPerImage(onGpu, gpu, config)).toBe(expected);
    expect(await secondsPerImage(onGpu, gpu, half)).toBeNull();
    const tuned = { ...config, training: { ...config.training, tune: !config.training.tune } };
    expect(await secondsPerImage(onGpu, gpu, tuned)).toBeNull();
    expect(await secondsPerImage(store, adapter!, tuned)).toBe(expected);
    const silent = events.map((event) =>
      event.type === 'epochEnded' ? { ...event, train: { ...event.train, n: 0 }, validation: null } : event,
    );
    expect(await secondsPerImage({ list, events: () => Promise.resolve(silent) }, adapter!, config)).toBeNull();
    const cached = { ...config, training: { ...config.training, layers: 'head', cached_views: 1 } as const };
    expect(await secondsPerImage(store, adapter!, cached)).toBeNull();
  });
});
