import { describe, expect, it } from 'vitest';
import type { Cuts, Engine, StepShape } from '../../../src/engine/types.ts';
import { readCheckpoint, writeCheckpoint } from '../../../src/training/checkpoint.ts';
import { createControl } from '../../../src/training/control.ts';
import { StoppedBeforeFirstStepError } from '../../../src/training/errors.ts';
import { withLaterSettings } from '../../../src/training/settings.ts';
import { openInNode } from '../support/openInNode.ts';
import { config, smallRun } from './smallRun.ts';

const chosen: Cuts = { device: 'this one', chosen: { 'conv 32×32×32': 'lanes8', 'conv 64×32×32': null } };

/** wasm has nothing to cut; it learns all the same, and what is asked of it and handed to its networks is kept. */
function choosing(answer: (recorded: Cuts | null) => Cuts | null = (recorded) => recorded ?? chosen) {
  const asked: { recorded: Cuts | null; step: StepShape }[] = [];
  const built: (Cuts | null | undefined)[] = [];
  const during = { stop: (): void => undefined };
  const open = async (): Promise<Engine> => {
    const engine = await openInNode('wasm');
    return {
      ...engine,
      build: (graph, weights, options) => {
        built.push(options.cuts);
        return engine.build(graph, weights, options);
      },
      tune: async (_, step, { recorded, signal, tell }) => {
        asked.push({ recorded, step });
        tell(0, 40);
        during.stop();
        if (!signal.aborted) tell(12, 40);
        return answer(recorded);
      },
    };
  };
  return { open, asked, built, during };
}
const change = { tune: true, epochs: 2 } as const;

describe('the cuts of a run', () => {
  it('are chosen for its step before anything is built, told, and recorded in its checkpoints', async () => {
    const { open, asked, built } = choosing();
    const { store, record, events } = await smallRun({ engine: open, change });
    expect(asked.map(({ recorded, step }) => [recorded, step.images, step.imageSize, step.trainable])).toEqual([
      [null, config.data.batch_size, config.data.img_size, 'all'],
    ]);
    expect(built).toEqual([chosen]);
    const told = events.flatMap((event) => (event.type === 'progress' && event.what === 'cuts' ? [event] : []));
    expect(told.map(({ done, total }) => [done, total])).toEqual([
      [0, 40],
      [12, 40],
    ]);
    const checkpoint = readCheckpoint((await store.readCheckpoint(record.id, 'latest'))!);
    expect(checkpoint.cuts).toEqual(chosen);
    expect(readCheckpoint(writeCheckpoint(checkpoint)).cuts).toEqual(chosen);
  });

  it('are chosen of kernels in the precision that the run trains in', async () => {
    const { open, asked } = choosing();
    const withHalf = async (): Promise<Engine> => {
      const engine = await open();
      return { ...engine, adapter: { ...engine.adapter, backend: 'webgpu', features: ['shader-f16'] } };
    };
    await smallRun({ engine: withHalf, change: { ...change, epochs: 1, precision: 'float16' } });
    await smallRun({ engine: withHalf, change: { ...change, epochs: 1 } });
    await smallRun({ engine: open, change: { ...change, epochs: 1, precision: 'float16' } });
    expect(asked.map(({ step }) => step.precision)).toEqual(['float16', 'float32', 'float32']);
  });

  it('are those of its checkpoint when it goes on; on another device they are chosen anew, and recorded', async () => {
    const control = createControl();
    const cut = await smallRun({
      engine: choosing().open,
      control,
      change,
      onEvent: (event) => event.type === 'checkpointSaved' && event.epoch === 1 && control.suspend(),
    });
    const other: Cuts = { device: 'another', chosen: {} };
    const next = choosing(() => other);
    const { store, record } = await smallRun({ engine: next.open, store: cut.store, record: cut.record });
    expect(next.asked.map(({ recorded }) => recorded)).toEqual([chosen]);
    expect(next.built).toEqual([other]);
    expect(readCheckpoint((await store.readCheckpoint(record.id, 'latest'))!).cuts).toEqual(other);
  });

  it('are the defaults, and nothing is asked, with tune: false and in a run that began without', async () => {
    const off = choosing();
    const without = await smallRun({ engine: off.open, change: { ...change, tune: false } });
    expect([off.asked, off.built]).toEqual([[], [null]]);
    expect(readCheckpoint((await without.store.readCheckpoint(without.record.id, 'latest'))!)).not.toHaveProperty(
      'cuts',
    );

    const { training } = without.record.config;
    const longer = { ...without.record.config, training: { ...training, tune: true, epochs: 3 } };
    const on = choosing();
    await smallRun({ engine: on.open, store: without.store, record: { ...without.record, config: longer } });
    expect([on.asked, on.built]).toEqual([[], [null]]);
    // What was stored before there was the setting.
    const { tune: _, ...older } = training;
    expect(withLaterSettings({ training: older }).training).toHaveProperty('tune', false);
  });

  it('are not chosen for a frozen backbone that is asked once, and a stop meanwhile ends the run before its first step', async () => {
    const frozen = choosing();
    await smallRun({ engine: frozen.open, change: { ...change, layers: 'head', cached_views: 1 } });
    expect(frozen.asked).toEqual([]);

    const control = createControl();
    const stopped = choosing();
    stopped.during.stop = () => control.stop();
    const { error } = await smallRun({ engine: stopped.open, control, change });
    expect(error).toBeInstanceOf(StoppedBeforeFirstStepError);
    expect(stopped.built).toEqual([]);
  });

  it('are left for the defaults where a step would fit with those alone', async () => {
    const engine = choosing();
    const open = async (): Promise<Engine> => {
      const opened = await engine.open();
      const stepBytes: Engine['stepBytes'] = (graph, step) =>
        step.cuts ? { total: 2 ** 40, binding: 1, buffer: 1 } : opened.stepBytes(graph, step);
      return { ...opened, stepBytes };
    };
    await smallRun({ engine: open, change });
    expect(engine.asked).toHaveLength(1);
    expect(engine.built).toEqual([null]);
  });
});
