import { expect, it } from 'vitest';
import { createPipelines } from '../../../src/engine/compiled/device/pipelines.ts';
import { openBench } from './support/runCalls.ts';

/** A shader that takes a driver some milliseconds; `salt` makes it one that no cache knows. */
function program(name: string, salt: number, lines: number) {
  const body = Array.from(
    { length: lines },
    (_, i) => `x = sin(x * ${(salt + i).toFixed(4)}) + f32(id.x % ${i + 2}u);`,
  );
  const code = `
    @group(0) @binding(0) var<storage, read_write> out: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      var x = out[id.x];
      ${body.join('\n      ')}
      out[id.x] = x;
    }`;
  return { name, code };
}

it('tells how many kernels are compiled of those asked for, ten times a second at most, and the end', async () => {
  const { device } = await openBench();
  const pipelines = createPipelines(device);
  const told: { ready: number; asked: number; at: number }[] = [];
  pipelines.onProgress((ready, asked) => told.push({ ready, asked, at: performance.now() }));
  const salt = Math.random();
  await pipelines.get(program('quick', salt, 1));
  expect(told, 'nobody waits for what takes no time').toEqual([]);

  const begun = performance.now();
  const names = Array.from({ length: 48 }, (_, i) => program(`slow ${i}`, salt + 7 * i, 160));
  // Twice asked for, once compiled.
  await Promise.all([...names, ...names].map((one) => pipelines.get(one)));
  const took = performance.now() - begun;
  expect(took, 'else there was nothing to tell').toBeGreaterThan(300);
  expect(told.length).toBeGreaterThan(1);
  expect(told.length).toBeLessThanOrEqual(took / 100 + 1);
  for (const [i, { ready, asked, at }] of told.entries()) {
    expect(asked).toBe(49);
    expect(ready).toBeGreaterThan(told[i - 1]?.ready ?? 0);
    if (i < told.length - 1) expect(at - (told[i - 1]?.at ?? begun)).toBeGreaterThanOrEqual(99);
  }
  expect(told.at(-1)!.ready).toBe(49);
  device.destroy();
});

it('counts a kernel that the device refuses, too: nobody waits for it', async () => {
  const { device } = await openBench();
  const pipelines = createPipelines(device);
  let last = [0, 0];
  pipelines.onProgress((...counts) => (last = counts));
  const salt = Math.random();
  const slow = Array.from({ length: 40 }, (_, i) => pipelines.get(program(`slow ${i}`, salt + 9 * i, 160)));
  await expect(pipelines.get({ name: 'broken', code: 'this is no shader' })).rejects.toThrow('broken');
  await Promise.all(slow);
  expect(last).toEqual([41, 41]);
  device.destroy();
});
