import { afterEach, describe, expect, it } from 'vitest';
import { openEngine, probe } from '../../src/engine/device.ts';
import { fasterDevice, speedInWords } from '../../src/engine/fasterDevice.ts';
import { measureSpeed } from '../../src/engine/speed.ts';
import type { Engine, EngineEnvironment, Speeds } from '../../src/engine/types.ts';
import { nodeEngineEnvironment } from '../../src/platform/node/engineEnvironment.ts';
import { openInNode } from '../unit/support/openInNode.ts';

/** Kernels for hardware take a software adapter a minute to compile; `npm run verify -- gpu-kernels` looks at them. */
const all = process.env['PACERID_ALL_STEPS'] === '1';

/** The software adapter of this computer under a name by which it passes for hardware. */
async function disguised(description: string, kept = new Map<string, Speeds>()) {
  const environment = await nodeEngineEnvironment({ gpu: true });
  let asked = 0;
  const requestAdapter = async (...options: Parameters<GPU['requestAdapter']>): Promise<GPUAdapter> => {
    asked++;
    const adapter = (await environment.gpu!.requestAdapter(...options))!;
    const info = { vendor: 'none', architecture: '', device: '', description, isFallbackAdapter: false };
    return new Proxy(adapter, {
      get(target, key) {
        if (key === 'info') return info;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };
  const store: EngineEnvironment['speeds'] = {
    read: async (key) => kept.get(key),
    write: async (key, speeds) => void kept.set(key, speeds),
  };
  return {
    environment: { ...environment, gpu: { requestAdapter } as GPU, speeds: store },
    kept,
    asked: () => asked,
  };
}

const opened: Engine[] = [];
const remembered = async (engine: Promise<Engine>): Promise<Engine> => {
  opened.push(await engine);
  return engine;
};
afterEach(async () => {
  for (const engine of opened.splice(0)) await engine.dispose();
});

describe('auto measures', () => {
  it('a software adapter never', async () => {
    const environment = { ...(await disguised('')).environment, gpu: (await nodeEngineEnvironment({ gpu: true })).gpu };
    const read = (): never => {
      throw new Error('asked for measurements');
    };
    const report = await probe('auto', { ...environment, speeds: { read, write: read } });
    expect(report).toMatchObject({ backend: 'wasm' });
    expect(report.speeds).toBeUndefined();
    expect(report.notice).toContain('imitation in software');
  });

  it('by a step that both devices make, in a second or so each, and leave nothing of', async () => {
    for (const setting of ['webgpu', 'wasm'] as const) {
      const engine = await remembered(openInNode(setting));
      const before = engine.memory().bytes;
      expect(await measureSpeed(engine)).toBeGreaterThan(1e7);
      // What is under way ends first.
      await expect.poll(() => engine.memory().bytes).toBe(before);
      await engine.dispose();
    }
  });

  it('what was measured is taken from the store, by another process too; the GPU is opened where it was faster', async () => {
    const kept = new Map<string, Speeds>();
    const { environment } = await disguised('Fast GPU', kept);
    const store = { read: async () => ({ webgpu: 24e9, wasm: 2e9 }), write: environment.speeds!.write };
    const engine = await remembered(openEngine('auto', { ...environment, speeds: store }));
    expect(engine.adapter).toMatchObject({ backend: 'webgpu', label: 'Fast GPU', notice: null });
    expect(speedInWords(engine.adapter)).toBe('12 × as fast as the processor here');
    expect(kept.size, 'nothing was measured').toBe(0);
  });

  it('a GPU that fails is passed over with a reason, in this process alone', async () => {
    const { environment, kept } = await disguised('Broken GPU');
    const requestAdapter = async (): Promise<GPUAdapter> => {
      const adapter = await environment.gpu!.requestAdapter();
      return new Proxy(adapter!, {
        get: (target, key) =>
          key === 'requestDevice' ? () => Promise.reject(new Error('no device')) : Reflect.get(target, key),
      });
    };
    const report = await probe('auto', { ...environment, gpu: { requestAdapter } as GPU });
    expect(report).toMatchObject({ backend: 'wasm', speeds: { webgpu: 0 } });
    expect(report.notice).toContain('Broken GPU failed in a short measurement');
    expect(kept.size).toBe(0);
  });

  it.runIf(all)(
    'both candidates once, takes the faster one, and says so; not beside other work; anew if asked',
    async () => {
      const { environment, kept, asked } = await disguised('Slow GPU');
      const begun = performance.now();
      const report = await probe('auto', environment);
      const took = performance.now() - begun;
      expect(kept.size).toBe(1);
      const [[key, speeds]] = [...kept.entries()] as [[string, Speeds]];
      expect(key).toContain('Slow GPU');
      for (const speed of Object.values(speeds)) expect(speed).toBeGreaterThan(1e7);
      // Which one it is depends on what else this computer does.
      const faster = fasterDevice(speeds);
      expect(report).toMatchObject({ backend: faster, speeds });
      if (faster === 'wasm') expect(report.notice).toMatch(/^Slow GPU was measured, .* takes [\d.,]+ × as long there/);
      else expect(report.notice).toBeNull();
      expect(speedInWords(report)).toMatch(/as fast as/);

      // Known from now on: one look at the adapter, no more devices.
      const before = asked();
      const again = performance.now();
      expect(await probe('auto', environment)).toEqual(report);
      expect(performance.now() - again).toBeLessThan(took / 4);
      expect(asked() - before).toBe(1);
      const engine = await remembered(openEngine('auto', environment));
      expect(engine.adapter).toMatchObject({ backend: faster, speeds });
      const measured = kept.get(key);
      expect(await probe('auto', environment, { anew: true })).toEqual(report);
      await engine.dispose();
      expect((await probe('auto', environment, { anew: true })).speeds).not.toEqual(measured);
      expect([...kept.keys()]).toEqual([key]);
    },
  );
});

describe('a run that goes on', () => {
  it.each(['webgpu', 'wasm'] as const)('stays on %s, whatever is faster', async (began) => {
    const { environment } = await disguised(`GPU of ${began}`);
    const speeds = began === 'wasm' ? { webgpu: 9, wasm: 1 } : { webgpu: 1, wasm: 9 };
    const store = { read: async () => speeds, write: async () => undefined };
    const engine = await remembered(openEngine('auto', { ...environment, speeds: store }, { began }));
    expect(engine.adapter.backend).toBe(began);
    if (began === 'wasm') expect(engine.adapter.notice).toContain('The run began on the processor');
  });

  it('goes on elsewhere where its device is gone', async () => {
    const { environment } = await disguised('');
    const engine = await remembered(openEngine('auto', { ...environment, gpu: undefined }, { began: 'webgpu' }));
    expect(engine.adapter.backend).toBe('wasm');
  });
});
