import { it } from 'vitest';
import { expectSameBits } from './sameBits.ts';

it('two epochs of MobileNetV3-Small on wasm: one seed gives one run, in this process and in another; another seed another', async () => {
  // As the product trains it, at 32 px: depthwise convolutions, squeeze-and-excitation, batch norm, dropout.
  await expectSameBits(
    { device: 'wasm', architecture: 'mobilenet_v3_small', seed: 5 },
    'npm test -- training/determinism',
  );
});
