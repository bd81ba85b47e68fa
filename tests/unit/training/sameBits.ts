import { expect } from 'vitest';
import { judged } from '../support/judged.ts';
import { digestInAnotherProcess, runDigest, type DigestedRun, type RunDigest } from './runDigest.ts';

/** The run twice in this process, once in another, and once with another seed, so that it is known that runs can differ. */
export async function expectSameBits(run: DigestedRun, command: string): Promise<void> {
  const first = await runDigest(run);
  expect([first.losses.length, first.validation.length]).toEqual([8, 2]);
  const again = [await runDigest(run), await digestInAnotherProcess(run)];
  judged({
    quantity:
      'two epochs, again and in another process: losses, weights, statistics and moments that are not the same bits',
    network: run.architecture ?? 'small',
    on: run.device,
    error: again.reduce((sum, one) => sum + differing(first, one), 0),
    tolerance: 0,
    command,
  });
  expect(again).toEqual([first, first]);
  const other = await runDigest({ ...run, seed: run.seed + 1 });
  expect(other.tensors).not.toBe(first.tensors);
  expect(differing(first, other)).toBeGreaterThan(8);
}

/** Losses that differ, and one for the tensors. */
function differing(one: RunDigest, other: RunDigest): number {
  const [a, b] = [one, other].map(({ losses, validation }) => [...losses, ...validation]) as [number[], number[]];
  return a.filter((value, i) => value !== b[i]).length + (one.tensors === other.tensors ? 0 : 1);
}
