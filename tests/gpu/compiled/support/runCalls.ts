import type { Call } from '../../../../src/engine/compiled/calls.ts';
import { encode, prepare, worksOf, type Place, type Work } from '../../../../src/engine/compiled/device/commands.ts';
import { createPipelines, type Pipelines } from '../../../../src/engine/compiled/device/pipelines.ts';
import type { Dispatch, Kernel, KernelTable } from '../../../../src/engine/compiled/kernels.ts';
import { bytesOf, matrix, type Matrix, type Memory } from '../../../../src/engine/compiled/memory.ts';
import { openNodeGpu } from '../../../../src/platform/node/gpu.ts';
import { fromFloat16, toFloat16 } from '../../../../src/weights/float16.ts';

export interface Bench {
  readonly device: GPUDevice;
  readonly pipelines: Pipelines;
  /** First error that nobody caught; null: none. */
  failure(): string | null;
}

/** A device with all that the adapter has. Throws where there is none. */
export async function openBench(): Promise<Bench> {
  const adapter = await (await openNodeGpu())?.requestAdapter();
  if (!adapter) throw new Error('No WebGPU adapter.');
  const wanted = ['shader-f16', 'subgroups', 'timestamp-query'] as const;
  const device = await adapter.requestDevice({
    requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)) as GPUFeatureName[],
    requiredLimits: {
      maxStorageBufferBindingSize: adapter.limits.maxStorageBufferBindingSize,
      maxBufferSize: adapter.limits.maxBufferSize,
      maxComputeWorkgroupStorageSize: adapter.limits.maxComputeWorkgroupStorageSize,
    },
  });
  let first: string | null = null;
  device.addEventListener('uncapturederror', (event) => {
    event.preventDefault();
    first ??= (event as GPUUncapturedErrorEvent).error.message;
  });
  return { device, pipelines: createPipelines(device), failure: () => first };
}

/**
 * Runs calls on memories filled with `contents` (others are NaN, so that what a kernel fails to write is seen), each in a buffer of its
 * own, and gives back what is in `wanted`. What lies there as f16 is rounded on its way in. Throws on any error of the device.
 */
export async function runCalls(
  bench: Bench,
  kernels: Partial<KernelTable>,
  calls: readonly Call[],
  contents: ReadonlyMap<Memory, Float32Array>,
  wanted: readonly Memory[],
): Promise<Float32Array[]> {
  const planned = calls.map((call) => {
    const floats = (kernels[call.kind] as Kernel<Call>).scratch?.(call) ?? 0;
    const scratch: Matrix | null = floats > 0 ? matrix('scratch', 1, Math.ceil(floats / 4) * 4) : null;
    return { call, scratch };
  });
  return runWorks(bench, worksOf(kernels as KernelTable, planned), contents, wanted);
}

/** The same of dispatches that belong to no call. */
export async function runDispatches(
  bench: Bench,
  dispatches: readonly Dispatch[],
  contents: ReadonlyMap<Memory, Float32Array>,
  wanted: readonly Memory[],
): Promise<Float32Array[]> {
  const works = dispatches.map((dispatch) => ({ dispatch, node: 'it', kind: dispatch.program.name, weight: 1 }));
  return runWorks(bench, works, contents, wanted);
}

async function runWorks(
  { device, pipelines, failure }: Bench,
  works: readonly Work[],
  contents: ReadonlyMap<Memory, Float32Array>,
  wanted: readonly Memory[],
): Promise<Float32Array[]> {
  const places = new Map<Memory, Place>();
  const placeOf = (memory: Memory): Place => {
    let place = places.get(memory);
    if (!place) {
      const size = Math.max(16, Math.ceil(bytesOf(memory) / 16) * 16);
      const buffer = device.createBuffer({
        size,
        usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
      });
      const data = contents.get(memory) ?? new Float32Array(Math.ceil(memory.floats / 4) * 4).fill(Number.NaN);
      if (data.length < memory.floats) throw new Error(`${memory.name}: ${data.length} of ${memory.floats} floats.`);
      const stored = memory.element === 'f16' ? toFloat16(data) : data;
      device.queue.writeBuffer(buffer, 0, stored as BufferSource);
      places.set(memory, (place = { buffer, offset: 0, size }));
    }
    return place;
  };
  const commands = await prepare(device, pipelines, works, placeOf);
  const encoder = device.createCommandEncoder();
  encode(encoder, commands.list, 0, commands.list.length);
  const readers = wanted.map((memory) => {
    const { buffer, size } = placeOf(memory);
    const reader = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    encoder.copyBufferToBuffer(buffer, 0, reader, 0, size);
    return reader;
  });
  device.queue.submit([encoder.finish()]);
  const results: Float32Array[] = [];
  for (const [i, reader] of readers.entries()) {
    await reader.mapAsync(GPUMapMode.READ);
    const copy = reader.getMappedRange().slice(0);
    const { element, floats } = wanted[i]!;
    const all = element === 'f16' ? fromFloat16(new Uint16Array(copy)) : new Float32Array(copy);
    results.push(all.subarray(0, floats));
    reader.destroy();
  }
  for (const { buffer } of places.values()) buffer.destroy();
  commands.dispose();
  const message = failure();
  if (message !== null) throw new Error(message);
  return results;
}
