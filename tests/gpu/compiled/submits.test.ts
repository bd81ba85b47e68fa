import { expect, it } from 'vitest';
import { requestAdapter } from '../../../src/engine/adapter.ts';
import type { Command } from '../../../src/engine/compiled/device/commands.ts';
import { createSubmits } from '../../../src/engine/compiled/device/submits.ts';
import { openWebGpu } from '../../../src/engine/reference/webgpuBackend.ts';
import { nodeEngineEnvironment } from '../../../src/platform/node/engineEnvironment.ts';

it('cuts a step into parts of 100 ms at most, by the middle of the three steps before', async () => {
  const adapter = (await requestAdapter(await nodeEngineEnvironment({ gpu: true })))!;
  const { device } = await openWebGpu(adapter);
  const submits = createSubmits(device!, 250);
  // What is recorded is no matter here, how much of it is.
  const commands = Array.from({ length: 40 }, () => ({ weight: 1 }) as Command);
  const parts: number[] = [];
  const run = (): number =>
    submits.run(commands, undefined, undefined, (_, __, begin, end) => void parts.push(end - begin));
  const after = (...milliseconds: number[]): number => {
    for (const one of milliseconds) submits.measured(one);
    return run();
  };
  expect(run()).toBe(3);
  expect(parts).toEqual([14, 13, 13]);
  expect(after(500)).toBe(5);
  // The slower of two.
  expect(after(300)).toBe(5);
  expect(after(310)).toBe(4);
  // One that was held up, one that was read late.
  expect(after(900)).toBe(4);
  expect(after(0)).toBe(4);
  expect(after(290, 300)).toBe(3);
  expect(after(1000, 1000)).toBe(10);
});
