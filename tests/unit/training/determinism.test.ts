import { expect, it } from 'vitest';
import { digestInAnotherProcess, runDigest, type DigestedRun } from './runDigest.ts';

/** As the product trains it, at 32 px: depthwise convolutions, squeeze-and-excitation, batch norm, dropout. */
const run: DigestedRun = { device: 'wasm', architecture: 'mobilenet_v3_small', seed: 5 };

it('two epochs of MobileNetV3-Small on wasm: the same seed gives the same bits, in this process and in another; another seed others', async () => {
  const first = await runDigest(run);
  expect([first.losses.length, first.validation.length]).toEqual([8, 2]);
  expect(await runDigest(run)).toEqual(first);
  expect(await digestInAnotherProcess(run)).toEqual(first);
  const other = await runDigest({ ...run, seed: 6 });
  expect(other.tensors).not.toBe(first.tensors);
  expect(other.losses).not.toEqual(first.losses);
});
