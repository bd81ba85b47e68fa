import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fasterDevice, passedOver, speedInWords } from '../../../src/engine/fasterDevice.ts';
import { measureSpeed } from '../../../src/engine/speed.ts';
import type { Engine, Speeds } from '../../../src/engine/types.ts';
import { openInNode } from '../support/openInNode.ts';

describe('the faster device', () => {
  it.each<[Speeds, 'webgpu' | 'wasm', string | null]>([
    [{ webgpu: 5e12, wasm: 2e10 }, 'webgpu', '250 × as fast as the processor here'],
    [{ webgpu: 1.234e12, wasm: 1e11 }, 'webgpu', '12 × as fast as the processor here'],
    [{ webgpu: 2.36, wasm: 1 }, 'webgpu', '2.4 × as fast as the processor here'],
    [{ webgpu: 2, wasm: 1 }, 'webgpu', '2 × as fast as the processor here'],
    // Not clear either way: the processor stays free.
    [{ webgpu: 1.2, wasm: 1 }, 'webgpu', 'about as fast as the processor here'],
    [{ webgpu: 1, wasm: 1.29 }, 'webgpu', 'about as fast as the processor here'],
    [{ webgpu: 1, wasm: 1.31 }, 'wasm', '1.3 × as fast as the graphics processor here'],
    [{ webgpu: 1, wasm: 40 }, 'wasm', '40 × as fast as the graphics processor here'],
    // Failed.
    [{ webgpu: 0, wasm: 1 }, 'wasm', null],
    [{ webgpu: 1, wasm: 0 }, 'webgpu', null],
    [{ webgpu: 0, wasm: 0 }, 'webgpu', null],
  ])('%j: %s, %s', (speeds, backend, words) => {
    expect(fasterDevice(speeds)).toBe(backend);
    expect(speedInWords({ backend, speeds })).toBe(words);
  });

  it('says nothing of what was not measured', () => {
    expect(speedInWords({ backend: 'webgpu' })).toBeNull();
    expect(speedInWords({ backend: 'webgl', speeds: { webgpu: 1, wasm: 1 } })).toBeNull();
  });

  it('says why a graphics processor was passed over', () => {
    expect(passedOver('Intel HD 4000', { webgpu: 1e10, wasm: 2.13e10 })).toContain(
      'Intel HD 4000 was measured, and a training step takes 2.1 × as long there',
    );
    expect(passedOver('Intel HD 4000', { webgpu: 0, wasm: 1 })).toContain('Intel HD 4000 failed');
  });
});

describe('the measurement on wasm', () => {
  let engine: Engine;
  beforeAll(async () => (engine = await openInNode('wasm')));
  afterAll(() => engine.dispose());

  it('takes about a second, counts the operations of the steps that it makes, and leaves nothing behind', async () => {
    const before = engine.memory().tensors;
    const steps: { n: number; ms: number }[] = [];
    const begun = performance.now();
    const speed = await measureSpeed({
      build: async (...call) => {
        const network = await engine.build(...call);
        return {
          ...network,
          trainStep: async (parts, rate) => {
            const from = performance.now();
            const result = await network.trainStep(parts, rate);
            steps.push({ n: parts[0]!.n, ms: performance.now() - from });
            return result;
          },
        };
      },
    });
    const took = performance.now() - begun;
    expect(engine.memory().tensors).toBe(before);
    // By hand: output pixels × outputs × inputs a group × kernel, times three passes and two operations.
    const macs =
      32 ** 2 * 32 * 27 + 32 ** 2 * 32 * 288 + 32 ** 2 * 32 * 9 + 16 ** 2 * (64 * 32 + 64 * 576 + 128 * 64) + 4 * 128;
    const quickest = Math.min(...steps.map(({ n, ms }) => ms / n));
    expect(speed / ((6 * macs * 1000) / quickest)).toBeGreaterThan(0.98);
    expect(speed / ((6 * macs * 1000) / quickest)).toBeLessThan(1.02);
    // One that has begun is waited for, and the first one isn't timed.
    expect(took).toBeLessThan(1000 + 2 * Math.max(...steps.map(({ ms }) => ms)) + 500);
    expect(steps.length).toBeGreaterThan(1);
  });
});
