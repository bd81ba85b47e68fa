import { describe, expect, it } from 'vitest';
import { openEngine, probe } from '../../../src/engine/device.ts';
import type { EngineEnvironment } from '../../../src/engine/types.ts';
import { nodeEngineEnvironment } from '../../../src/platform/node/engineEnvironment.ts';

const bare: EngineEnvironment = {
  gpu: undefined,
  secureContext: true,
  crossOriginIsolated: false,
  processors: 8,
  wasmPaths: {
    'tfjs-backend-wasm.wasm': '',
    'tfjs-backend-wasm-simd.wasm': '',
    'tfjs-backend-wasm-threaded-simd.wasm': '',
  },
};

/** What a browser would answer; `info` as Chrome and Firefox report it. */
function withAdapter(info: Partial<GPUAdapterInfo> | null): EngineEnvironment {
  const adapter = info && {
    info: { vendor: '', architecture: '', device: '', description: '', isFallbackAdapter: false, ...info },
    limits: { maxBufferSize: 1024 },
    features: new Set(['shader-f16']),
  };
  return { ...bare, gpu: { requestAdapter: async () => adapter } as unknown as GPU };
}

describe('the device that a setting means', () => {
  it('auto and cuda take a real GPU', async () => {
    for (const setting of ['auto', 'cuda'] as const) {
      const report = await probe(
        setting,
        withAdapter({ vendor: 'apple', architecture: 'metal-3', description: 'Apple M2' }),
      );
      expect(report).toMatchObject({ backend: 'webgpu', label: 'Apple M2', software: false, notice: null });
      expect(report).toMatchObject({ limits: { maxBufferSize: 1024 }, features: ['shader-f16'] });
    }
  });

  it.each([
    [{ vendor: 'google', architecture: 'swiftshader' }],
    [{ vendor: 'mesa', description: 'llvmpipe: Mesa 25.0.7 (LLVM 15.0.6)' }],
    [{ vendor: 'microsoft', description: 'Microsoft Basic Render Driver' }],
    [{ vendor: 'unknown', isFallbackAdapter: true }],
  ])('auto passes over the software adapter %j, and says so', async (info) => {
    const report = await probe('auto', withAdapter(info));
    expect(report.backend).toBe('wasm');
    expect(report.notice).toContain('software');
    expect(await probe('webgpu', withAdapter(info))).toMatchObject({ backend: 'webgpu', software: true });
  });

  it.each([
    ['no WebGPU', bare],
    ['plain http', { ...bare, secureContext: false }],
    ['no graphics processor', withAdapter(null)],
  ] as const)(
    '%s: auto trains on wasm with a notice, webgpu is an error that says what to do',
    async (why, environment) => {
      const report = await probe('auto', environment);
      expect(report.backend).toBe('wasm');
      expect(report.notice).toContain(why);
      await expect(probe('webgpu', environment)).rejects.toMatchObject({
        name: 'NoWebGpuError',
        message: expect.stringContaining(why),
        remedy: expect.stringMatching(/https|Chrome|HardwareAccelerationModeEnabled/),
      });
    },
  );

  it('names wasm threads only where the page is cross-origin isolated', async () => {
    expect((await probe('wasm', bare)).label).toBe('WebAssembly, SIMD, 1 thread');
    const isolated = { ...bare, crossOriginIsolated: true };
    // Node has no script for them.
    expect((await probe('wasm', isolated)).label).toBe('WebAssembly, SIMD, 1 thread');
    const threaded = { ...isolated, wasmThreadScript: 'https://example.org/thread.js' };
    expect((await probe('wasm', threaded)).label).toBe('WebAssembly, SIMD, 4 threads');
    expect((await probe('wasm', { ...bare, wasmThreadScript: 'https://example.org/thread.js' })).label).toContain(
      '1 thread',
    );
  });

  it('threads that could not be started are told of once, at the second opening too', async () => {
    const environment: EngineEnvironment = {
      ...(await nodeEngineEnvironment({ gpu: false })),
      crossOriginIsolated: true,
      processors: 4,
      wasmThreadScript: 'file:///none.js',
    };
    const first = (await openEngine('auto', environment)).adapter;
    expect(first.label).toBe('WebAssembly, SIMD, 1 thread');
    expect(first.notice?.match(/one thread only/g)).toHaveLength(1);
    expect((await openEngine('auto', environment)).adapter).toEqual(first);
    expect(await probe('auto', environment)).toEqual(first);
  });
});
