import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunState } from '../../../src/training/runState.ts';
import { configOf, headlessTrainer, option } from './trainer.ts';

/** Trains on the sample data set for each seed (`--seeds 42,1,2`); ends with status 1 unless each gets over `wanted` on Test. */
export async function verifySample(changes: Parameters<typeof configOf>[1], wanted: number): Promise<void> {
  const seeds = (option('seeds') ?? '42').split(',').map(Number);
  const trainer = headlessTrainer(join(tmpdir(), 'pacerid-verify-weights'));
  const base = configOf(['configs/sample.yaml'], changes);
  const drawn = performance.now();
  const dataset = await trainer.importSample(base);
  console.log(`${dataset.images.length} images drawn in ${seconds(drawn)} s`);
  const results: { seed: number; state: RunState; seconds: string }[] = [];
  for (const seed of seeds) {
    const config = { ...base, training: { ...base.training, device: 'wasm' as const, seed } };
    const started = performance.now();
    const state = await trainer.train(config, dataset.id, null, `seed ${seed}`);
    results.push({ seed, state, seconds: seconds(started) });
  }
  console.log(`\n${base.model.architecture}, ${base.data.img_size} px, ${base.training.epochs} epochs, wasm`);
  for (const { seed, state, seconds } of results) {
    const { n, accuracy, accuracyInterval } = state.test!.report;
    const [low, high] = accuracyInterval.map((share) => (100 * share).toFixed(1));
    console.log(`seed ${seed}: Test ${(100 * accuracy).toFixed(1)} % of ${n} (95 %: ${low}–${high}) in ${seconds} s`);
  }
  const enough = results.every(({ state }) => state.test!.report.accuracy > wanted);
  console.log(enough ? `All over ${100 * wanted} %.` : `NOT all over ${100 * wanted} %.`);
  process.exit(enough ? 0 : 1);
}

const seconds = (from: number): string => ((performance.now() - from) / 1000).toFixed(1);
