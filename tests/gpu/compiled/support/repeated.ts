import type { Call } from '../../../../src/engine/compiled/calls.ts';
import type { KernelTable } from '../../../../src/engine/compiled/kernels.ts';
import type { Memory } from '../../../../src/engine/compiled/memory.ts';
import { runCalls, type Bench } from './runCalls.ts';
import { sameBits } from './sameBits.ts';

/** Runs the calls twice: the same calls give the same bits. */
export async function runTwice(
  bench: Bench,
  kernels: Partial<KernelTable>,
  calls: readonly Call[],
  contents: ReadonlyMap<Memory, Float32Array>,
  wanted: readonly Memory[],
): Promise<Float32Array[]> {
  const first = await runCalls(bench, kernels, calls, contents, wanted);
  const second = await runCalls(bench, kernels, calls, contents, wanted);
  sameBits(second, first);
  return first;
}
