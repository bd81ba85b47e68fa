/**
 * 500 training steps of the compiled engine: memory stays flat, the process's and the device's; a device that is lost in the middle of a
 * step is said, and a new one goes on from what was last read to the same losses, to the bit.
 *
 *     npm run verify -- steps [--steps 500]
 */
import * as tf from '@tensorflow/tfjs';
import { buildGraph } from '../../src/architectures/index.ts';
import { openEngine } from '../../src/engine/device.ts';
import { DeviceLostError } from '../../src/engine/errors.ts';
import type { Engine, LabelledBatch, Network, NetworkOptions } from '../../src/engine/types.ts';
import type { Weights } from '../../src/graph/types.ts';
import { nodeEngineEnvironment } from '../../src/platform/node/engineEnvironment.ts';
import { formulaWeights, signed } from '../unit/support/formulaWeights.ts';
import { option } from './headless/trainer.ts';

const STEPS = Number(option('steps') ?? 500);
const SIZE = 32;
const graph = buildGraph('tiny', 5);
const options: NetworkOptions = {
  trainable: 'all',
  optimiser: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
  clipNorm: 1,
  batchNormMomentum: null,
  seed: 1,
};
const faults: string[] = [];
const hold = (what: string, holds: boolean): void => {
  console.log(`${holds ? '✓' : '✗'} ${what}`);
  if (!holds) faults.push(what);
};

/** Eight batches in turn; each eighth is smaller, as the last of an epoch is. */
const batches = Array.from({ length: 8 }, (_, i): LabelledBatch[] => {
  const n = i === 7 ? 3 : 8;
  const images = Float32Array.from(signed(`batch ${i}`, n * SIZE * SIZE * 3), (value) => Math.fround(value) * 2);
  return [{ images, n, size: SIZE, labels: Int32Array.from({ length: n }, (_, k) => (i + k) % 5) }];
});
const batch = (step: number): LabelledBatch[] => batches[step % batches.length]!;

async function open(weights: Weights): Promise<[Engine, Network]> {
  const engine = await openEngine('webgpu', await nodeEngineEnvironment({ gpu: true }));
  return [engine, await engine.build(graph, weights, options)];
}

const [engine, network] = await open(formulaWeights(graph));
console.log(`${engine.adapter.label}: ${STEPS} steps of ${graph.architecture}, ${SIZE} px, batches of 8`);
const losses: number[] = [];
const held = new Set<number>();
const resident: number[] = [];
const middle = Math.floor(STEPS / 2);
let checkpoint = { weights: await network.readWeights(), optimiser: await network.readOptimiser() };
for (let step = 0; step < STEPS; step++) {
  if (step === middle) checkpoint = { weights: await network.readWeights(), optimiser: await network.readOptimiser() };
  losses.push((await network.trainStep(batch(step), 1e-3)).loss);
  // Both sizes of batches have been seen, and weights have been read.
  if (step >= batches.length) held.add(engine.memory().bytes);
  if (step % Math.ceil(STEPS / 20) === 0) {
    (globalThis as { gc?: () => void }).gc?.();
    resident.push(process.memoryUsage().rss);
  }
}
const undisturbed = await network.readWeights();
const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
hold(`the loss falls: ${losses[0]!.toFixed(4)} → ${losses.at(-1)!.toFixed(4)}`, losses.at(-1)! < losses[0]!);
hold(`the engine holds ${[...held].map(mb).join(', ')} all the time`, held.size === 1);
// What the driver and the runtime take to warm up is taken in the first fifth.
const late = resident.slice(Math.ceil(resident.length / 5));
const half = Math.floor(late.length / 2);
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const [before, after] = [mean(late.slice(0, half)), mean(late.slice(half))];
hold(`the process has ${mb(before)} in the first half, ${mb(after)} in the second`, after < 1.05 * before + 10e6);

// Another, lost in the middle of a step.
await engine.dispose();
const [second, interrupted] = await open(checkpoint.weights);
await interrupted.writeOptimiser(checkpoint.optimiser);
const resumed: number[] = [];
const quarter = Math.floor((STEPS - middle) / 2);
for (let step = middle; step < middle + quarter; step++) {
  resumed.push((await interrupted.trainStep(batch(step), 1e-3)).loss);
}
const kept = { weights: await interrupted.readWeights(), optimiser: await interrupted.readOptimiser() };
const underWay = interrupted.trainStep(batch(middle + quarter), 1e-3).then(
  () => null,
  (error: unknown) => error,
);
(tf.backend() as unknown as { device: GPUDevice }).device.destroy();
const error = await underWay;
hold(`a device lost in step ${middle + quarter} is said: ${String(error)}`, error instanceof DeviceLostError);
await second.dispose();

const [third, again] = await open(kept.weights);
await again.writeOptimiser(kept.optimiser);
for (let step = middle + quarter; step < STEPS; step++) {
  resumed.push((await again.trainStep(batch(step), 1e-3)).loss);
}
const same = resumed.filter((loss, i) => Object.is(loss, losses[middle + i])).length;
hold(
  `${same} of ${resumed.length} losses after it are those of the undisturbed run, to the bit`,
  same === resumed.length,
);
const weights = await again.readWeights();
const differ = [...undisturbed].filter(([name, { data }]) =>
  data.some((value, i) => !Object.is(value, weights.get(name)!.data[i])),
);
hold(`${differ.length} of ${undisturbed.size} parameters and statistics differ`, differ.length === 0);
await third.dispose();
console.log(faults.length === 0 ? '\nHolds.' : `\n${faults.length} do not hold.`);
process.exit(faults.length === 0 ? 0 : 1);
