import type { AdapterReport, EngineEnvironment } from './types.ts';

/**
 * Software rasterisers that pose as GPUs: Chromium's SwiftShader, Mesa's llvmpipe (lavapipe), Microsoft's WARP. All of them
 * train several times slower than wasm does.
 */
const software = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b/i;

export function describeAdapter(adapter: GPUAdapter, notice: string | null): AdapterReport {
  const { info } = adapter;
  const { vendor, architecture, device, description } = info;
  const isSoftware =
    software.test(`${vendor} ${architecture} ${device} ${description}`) || (info.isFallbackAdapter ?? false);
  const name = description || [vendor, architecture].filter(Boolean).join(' ') || 'Unnamed graphics processor';
  return {
    backend: 'webgpu',
    label: isSoftware ? `${name} (software)` : name,
    software: isSoftware,
    vendor,
    architecture,
    description,
    limits: limitsOf(adapter.limits),
    features: [...adapter.features].sort(),
    notice,
  };
}

/** GPUSupportedLimits keeps its numbers in getters of its prototype. */
export function limitsOf(limits: GPUSupportedLimits): Record<string, number> {
  const result: Record<string, number> = {};
  for (const key in limits) {
    const value = (limits as unknown as Record<string, unknown>)[key];
    if (typeof value === 'number') result[key] = value;
  }
  return result;
}

/** A report for what is no WebGPU adapter. */
export function describeProcessor(
  backend: 'wasm' | 'webgl' | 'cpu',
  environment: EngineEnvironment,
  notice: string | null,
): AdapterReport {
  const threads = wasmThreads(environment);
  const label = {
    wasm: `WebAssembly, SIMD, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    webgl: 'WebGL',
    cpu: 'Plain JavaScript',
  }[backend];
  return {
    backend,
    label,
    software: backend !== 'webgl',
    vendor: '',
    architecture: '',
    description: '',
    limits: {},
    features: [],
    notice,
  };
}

/** One where the page isn't cross-origin isolated: without SharedArrayBuffer there are no wasm threads. */
export function wasmThreads({ crossOriginIsolated, processors }: EngineEnvironment): number {
  return crossOriginIsolated ? Math.max(1, Math.min(8, processors)) : 1;
}
