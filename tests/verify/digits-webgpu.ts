/**
 * The first steps on real photographs give the same losses on WebGPU (lavapipe, where there is no GPU) as on wasm. `--zip FILE
 * --weights FILE [--steps 3]`
 */
import { openAsBlob } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { configOf, headlessTrainer, option } from './headless/trainer.ts';

const [zip, weightsPath] = [option('zip'), option('weights')];
if (zip === undefined || weightsPath === undefined) {
  console.error(
    'Usage: npm run verify -- digits-webgpu --zip sign-language-digits.zip --weights mobilenet_v3_small.safetensors',
  );
  process.exit(2);
}
const steps = Number(option('steps') ?? 3);
/*
 * A small learning rate: the gradient of a BatchNorm's bias that only another BatchNorm sees is zero but for rounding (in
 * MobileNetV3: `features.N.block.2.1.bias`), and Adam's first steps make ± the whole learning rate of that noise. At 1e-3 two correct
 * backends part by 1e-2 at the third step; at 1e-5 a wrong gradient would still show, and the noise doesn't.
 */
const config = configOf([], {
  data: { img_size: 96, batch_size: 32, validation_split: 0, test_split: 0 },
  model: { architecture: 'mobilenet_v3_small' },
  training: { learning_rate: 1e-5, batchnorm_momentum: 0.1, augmentation: { enabled: false } },
});
const trainer = headlessTrainer(join(tmpdir(), 'pacerid-verify-weights'));
const dataset = await trainer.importZip(zip, config);
const file = await openAsBlob(weightsPath);
const { id } = await trainer.importWeights({ file, name: basename(weightsPath), architecture: 'mobilenet_v3_small' });

const losses = async (device: 'wasm' | 'webgpu'): Promise<readonly number[]> => {
  const one = { ...config, training: { ...config.training, device } };
  const state = await trainer.train(one, dataset.id, id, device, steps);
  const values = state.steps.map(({ loss }) => loss);
  console.log(
    `${state.adapter?.label}: ${values.map((loss) => loss.toFixed(6)).join(' ')} (${state.secondsPerStep?.toFixed(2)} s a step)`,
  );
  return values;
};
const wasm = await losses('wasm');
const webgpu = await losses('webgpu');
const worst = Math.max(...wasm.map((loss, i) => Math.abs(loss - (webgpu[i] as number))));
console.log(`largest difference ${worst.toExponential(1)} ${worst < 1e-3 ? '< 1e-3: holds' : '≥ 1e-3: FAILS'}`);
process.exit(worst < 1e-3 && wasm.length === steps ? 0 : 1);
