import { expect } from 'vitest';
import type { Call } from '../../../../src/engine/compiled/calls.ts';
import type { KernelTable } from '../../../../src/engine/compiled/kernels.ts';
import type { Memory } from '../../../../src/engine/compiled/memory.ts';
import { runCalls, type Bench } from './runCalls.ts';

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
  first.forEach((values, i) => {
    const bits = (of: Float32Array): Uint8Array => new Uint8Array(of.buffer, of.byteOffset, of.byteLength);
    expect(Buffer.compare(bits(values), bits(second[i]!)), `${wanted[i]!.name}: other bits`).toBe(0);
  });
  return first;
}
