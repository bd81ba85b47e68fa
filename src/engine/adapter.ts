import type { AdapterReport, EngineEnvironment } from './types.ts';

/**
 * Software rasterisers that pose as GPUs: Chromium's SwiftShader, Mesa's llvmpipe (lavapipe), Microsoft's WARP. All of them
 * train several times slower than wasm does.
 */
const software = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b/i;

/** The browser's fastest; null where there is no WebGPU, or none that it may use. */
export async function requestAdapter({ gpu }: Pick<EngineEnvironment, 'gpu'>): Promise<GPUAdapter | null> {
  try {
    return (await gpu?.requestAdapter({ powerPreference: 'high-performance' })) ?? null;
  } catch {
    return null;
  }
}

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

/** Whether networks can have their maps in float16 here. */
export function hasFloat16({ backend, features }: Pick<AdapterReport, 'backend' | 'features'>): boolean {
  return backend === 'webgpu' && features.includes('shader-f16');
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

/** How many threads wasm has, and why only one where there could be more; null where that is as it should be. */
export interface WasmThreads {
  readonly count: number;
  readonly notice: string | null;
}

/** A report for what is no WebGPU adapter. */
export function describeProcessor(
  backend: 'wasm' | 'webgl' | 'cpu',
  threads: WasmThreads,
  notice: string | null,
): AdapterReport {
  const label = {
    wasm: `WebAssembly, SIMD, ${threads.count} ${threads.count === 1 ? 'thread' : 'threads'}`,
    webgl: 'WebGL',
    cpu: 'Plain JavaScript',
  }[backend];
  const notices = [notice, backend === 'wasm' ? threads.notice : null].filter((text) => text !== null);
  return {
    backend,
    label,
    software: backend !== 'webgl',
    vendor: '',
    architecture: '',
    description: '',
    limits: {},
    features: [],
    notice: notices.length > 0 ? notices.join(' ') : null,
  };
}

const MOST_THREADS = 8;

/**
 * How many threads wasm is to have: half as many as there are processors, eight at most. Without SharedArrayBuffer, which only an isolated
 * page has, there is one. Figures: docs/benchmarks.md.
 */
export function wasmThreads({ crossOriginIsolated, processors, wasmThreadScript }: EngineEnvironment): number {
  if (!crossOriginIsolated || wasmThreadScript === undefined) return 1;
  return Math.max(1, Math.min(MOST_THREADS, Math.floor(processors / 2)));
}
