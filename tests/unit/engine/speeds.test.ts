import { describe, expect, it } from 'vitest';
import { speedsOf } from '../../../src/engine/speeds.ts';
import type { EngineEnvironment, Speeds } from '../../../src/engine/types.ts';
import { nodeEngineEnvironment } from '../../../src/platform/node/engineEnvironment.ts';

const fast: Speeds = { webgpu: 5e11, wasm: 2e10 };
const now = { anew: false, mayMeasure: true };
const gpu = (description: string) => ({ vendor: 'v', architecture: 'a', description });

/** A computer whose devices are that fast, with a store; `measured`: which one was timed, in order. */
async function computer(speeds: Speeds, kept = new Map<string, Speeds>()) {
  const measured: string[] = [];
  const environment: EngineEnvironment = {
    ...(await nodeEngineEnvironment({ gpu: false })),
    speeds: { read: async (key) => kept.get(key), write: async (key, value) => void kept.set(key, value) },
  };
  const measure = async (candidate: 'webgpu' | 'wasm'): Promise<number> => {
    measured.push(candidate);
    return speeds[candidate];
  };
  return { environment, kept, measured, measure };
}

describe('how fast the devices are', () => {
  it('is measured once, one after the other, and then known: here, and by the store to the next page', async () => {
    const { environment, kept, measured, measure } = await computer(fast);
    expect(await speedsOf(gpu('one'), environment, now, measure)).toEqual(fast);
    expect(measured).toEqual(['wasm', 'webgpu']);
    expect([...kept.values()]).toEqual([fast]);
    expect(await speedsOf(gpu('one'), environment, now, measure)).toEqual(fast);
    expect(measured).toHaveLength(2);
    // Of another adapter, or with other threads, it says nothing.
    await speedsOf(gpu('two'), environment, now, measure);
    const threads = { crossOriginIsolated: true, processors: 8, wasmThreadScript: 'thread.js' };
    await speedsOf(gpu('one'), { ...environment, ...threads }, now, measure);
    expect(measured).toHaveLength(6);
    expect(kept.size).toBe(3);

    const [[key]] = [...kept.entries()] as [[string, Speeds]];
    const next = await computer({ webgpu: 1, wasm: 1 }, new Map([[key.replace('one', 'of the store'), fast]]));
    expect(await speedsOf(gpu('of the store'), next.environment, now, next.measure)).toEqual(fast);
    expect(next.measured).toEqual([]);
  });

  it('is measured anew where that is asked for, and kept', async () => {
    const { environment, kept, measure } = await computer(fast);
    await speedsOf(gpu('changed'), environment, now, async () => 1);
    expect(await speedsOf(gpu('changed'), environment, { ...now, anew: true }, measure)).toEqual(fast);
    expect([...kept.values()]).toEqual([fast]);
    expect(await speedsOf(gpu('changed'), environment, now, async () => 1)).toEqual(fast);
  });

  it('is not measured beside other work, nor by whom nobody asked to: what is known counts', async () => {
    const { environment, kept, measured, measure } = await computer(fast);
    const busy = { anew: false, mayMeasure: false };
    expect(await speedsOf(gpu('busy'), environment, busy, measure)).toBeNull();
    const reader = { ...environment, speeds: { ...environment.speeds!, write: null } };
    expect(await speedsOf(gpu('busy'), reader, now, measure)).toBeNull();
    const { speeds: _, ...without } = environment;
    expect(await speedsOf(gpu('busy'), without, now, measure)).toBeNull();
    expect([measured, kept.size]).toEqual([[], 0]);
    await speedsOf(gpu('busy'), environment, now, measure);
    expect(await speedsOf(gpu('busy'), environment, { anew: true, mayMeasure: false }, measure)).toEqual(fast);
    expect(await speedsOf(gpu('busy'), reader, { ...now, anew: true }, measure)).toEqual(fast);
    expect(measured).toHaveLength(2);
  });

  it('a device that fails is known in this process, and asked again by the next', async () => {
    const { environment, kept, measured, measure } = await computer({ webgpu: 0, wasm: 1 });
    await speedsOf(gpu('broken'), environment, now, measure);
    expect(await speedsOf(gpu('broken'), environment, now, measure)).toEqual({ webgpu: 0, wasm: 1 });
    expect([measured.length, kept.size]).toEqual([2, 0]);
  });

  it('does without a store that fails', async () => {
    const { environment, measured, measure } = await computer(fast);
    const fails = () => Promise.reject(new Error('a private window'));
    const poor = { ...environment, speeds: { read: fails, write: fails } };
    expect(await speedsOf(gpu('private'), poor, now, measure)).toEqual(fast);
    expect(await speedsOf(gpu('private'), poor, now, measure)).toEqual(fast);
    expect(measured).toHaveLength(2);
  });
});
