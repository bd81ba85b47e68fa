import { describe, expect, it } from 'vitest';
import { buildGraph } from '../../../src/architectures/index.ts';
import { memoryRunStore } from '../../../src/platform/node/runStore.ts';
import { networkOptions } from '../../../src/training/attempt.ts';
import { optimiserOf } from '../../../src/training/optimiser.ts';
import { readCheckpoint, writeCheckpoint } from '../../../src/training/checkpoint.ts';
import type { RunEvent } from '../../../src/training/events.ts';
import { referenceStepBytes } from '../../../src/engine/reference/stepBytes.ts';
import type { Checkpoint, RunConfig, RunStore } from '../../../src/training/types.ts';
import { config, smallRun } from './smallRun.ts';

type Change = Partial<RunConfig['training']>;

const momentum: Change = { optimizer: 'sgd', momentum: 0.9, nesterov: true, weight_decay: 0.01, learning_rate: 0.1 };
const plain: Change = { optimizer: 'sgd', momentum: 0, learning_rate: 0.3 };
const decoupled: Change = { optimizer: 'adamw', weight_decay: 0.1, clip_norm: 0.5 };

const latest = async (store: RunStore): Promise<Checkpoint> =>
  readCheckpoint((await store.readCheckpoint('small', 'latest')) as Uint8Array);
const warningsOf = (events: readonly RunEvent[]): string =>
  events.flatMap((event) => (event.type === 'weightsReady' ? event.warnings : [])).join();

/** Two of four epochs, in the middle of the third the tab is closed. */
async function cutOff(change: Change) {
  let steps = 0;
  return smallRun({
    change,
    step: (network, ...call) => {
      steps += 1;
      if (steps === 11) throw new Error('the tab was closed');
      return network.trainStep(...call);
    },
  });
}

describe.each([
  ['SGD with momentum', momentum, ['momentum_buffer']],
  ['SGD without', plain, []],
  ['AdamW, clipped', decoupled, ['exp_avg', 'exp_avg_sq']],
] as const)('%s', (_, change, slots) => {
  it('goes on from its checkpoint as if nothing had happened, and keeps what torch keeps', async () => {
    const straight = await smallRun({ change });
    expect(straight.error).toBeNull();
    const broken = await cutOff(change);
    expect(broken.record).toMatchObject({ state: 'failed', latestEpoch: 2 });
    const resumed = await smallRun({ store: broken.store, record: broken.record });
    expect(warningsOf(resumed.events)).toBe('');
    const [a, b] = [await latest(straight.store), await latest(resumed.store)];
    expect([...b.weights]).toEqual([...a.weights]);
    expect(b.optimiser).toEqual(a.optimiser);
    const trained = [...a.weights.keys()].filter((name) => /\.(weight|bias)$/.test(name));
    expect([...a.optimiser.moments.keys()].toSorted()).toEqual(
      trained.flatMap((name) => slots.map((slot) => `${name}.${slot}`)).toSorted(),
    );
  });
});

it('without what it keeps, an optimiser starts anew and says so by name', async () => {
  const broken = await cutOff(momentum);
  const { optimiser, ...rest } = await latest(broken.store);
  const store = memoryRunStore();
  await store.writeCheckpoint(
    broken.record,
    2,
    writeCheckpoint({ ...rest, optimiser: { ...optimiser, moments: new Map() } }),
  );
  const resumed = await smallRun({ store, record: broken.record });
  expect(resumed.error).toBeNull();
  expect(warningsOf(resumed.events)).toContain('SGD starts anew');
});

it('settings reach the engine as torch names them', () => {
  const graph = buildGraph('tiny', 3);
  const optionsOf = (change: Change) =>
    networkOptions(graph, { ...config, training: { ...config.training, ...change } }, 16);
  expect(optionsOf({ weight_decay: 0.1 })).toMatchObject({
    optimiser: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1 },
    clipNorm: null,
  });
  expect(optionsOf(decoupled)).toMatchObject({ optimiser: { kind: 'adamw', weightDecay: 0.1 }, clipNorm: 0.5 });
  expect(optionsOf(momentum).optimiser).toEqual({ kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0.01 });
});

it('memory is planned for what the optimiser keeps: two, one or no numbers a parameter', () => {
  const graph = buildGraph('resnet50', 1000);
  const bytes = (change: Change): number => {
    const optimiser = optimiserOf({ ...config.training, ...change });
    return referenceStepBytes(graph, { images: 1, imageSize: 224, trainable: 'all', optimiser }).total;
  };
  // torchvision's ResNet50 has 25.557 million parameters, and 53 thousand running statistics, which nothing is kept of.
  const parameters = 4 * 25_557_032;
  expect((bytes({}) - bytes(momentum)) / parameters).toBeCloseTo(1, 2);
  expect((bytes(momentum) - bytes(plain)) / parameters).toBeCloseTo(1, 2);
});
