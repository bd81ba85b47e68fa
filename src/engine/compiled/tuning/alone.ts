import type { Partials } from '../calls.ts';
import { prepare, worksOf, type Commands, type Work } from '../device/commands.ts';
import { createBuffers } from '../device/buffers.ts';
import type { Pipelines } from '../device/pipelines.ts';
import type { KernelTable } from '../kernels.ts';
import { bytesOf, matrix, type Memory } from '../memory.ts';
import type { Arena } from '../plan/arena.ts';
import type { Product } from './products.ts';

type ProductKernels = Pick<KernelTable, Product['kind']>;

/** A call taken out of its step: what it dispatches, and where its memories lie if there is nothing else. */
export interface Alone {
  readonly works: readonly Work[];
  readonly arena: Arena;
  readonly kept: readonly Memory[];
}

/** WebGPU's largest minStorageBufferOffsetAlignment, bytes. */
const ALIGNMENT = 256;

/** A product as these kernels carry it out. */
export function alone(planned: Product, kernels: ProductKernels): Alone {
  const call = fitted(planned, kernels);
  const floats = kernels[call.kind].scratch?.(call as never) ?? 0;
  const scratch = floats > 0 ? matrix('scratch', 1, Math.ceil(floats / 4) * 4) : null;
  const works = worksOf(kernels as KernelTable, [{ call, scratch }]);
  const offsets = new Map<Memory, number>();
  const kept = new Set<Memory>();
  let bytes = 0;
  for (const { dispatch } of works) {
    for (const memory of dispatch.memories) {
      if (memory.kind === 'kept') kept.add(memory);
      if (memory.kind === 'kept' || offsets.has(memory)) continue;
      offsets.set(memory, bytes);
      bytes += Math.ceil(bytesOf(memory) / ALIGNMENT) * ALIGNMENT;
    }
  }
  return { works, arena: { bytes, offsets }, kept: [...kept] };
}

/** With partial sums as these kernels' tiles make them. */
function fitted(call: Product, kernels: ProductKernels): Product {
  const partials = (rows: number, channels: number, tileRows: number): Partials => {
    const count = Math.ceil(rows / tileRows);
    return { matrix: matrix('partials', 2 * count, channels), tiles: count, tileRows };
  };
  if (call.kind === 'conv' && call.statistics) {
    const rows = call.images * call.outHeight * call.outWidth;
    return { ...call, statistics: partials(rows, call.out.channels, kernels.conv.tileRows!(call)) };
  }
  if (call.kind === 'convInputGradient' && call.epilogue) {
    const rows = call.images * call.height * call.width;
    const sums = partials(rows, call.out.channels, kernels.convInputGradient.tileRows!(call));
    return { ...call, epilogue: { ...call.epilogue, sums } };
  }
  if (call.kind === 'convFilterGradient') {
    // Slices are added up at once: of other cuts there are others.
    const { slices: _, ...itself } = call as typeof call & { readonly slices?: unknown };
    return itself as Product;
  }
  return call;
}

/** Memory for one product after the other: as much as the largest of them needs, and their parameters and gradients beside it. */
export interface Bench {
  /** @throws Error that names the kernel whose shader the device refuses; GpuMemoryError. */
  prepare(one: Alone): Promise<Commands>;
  dispose(): void;
}

/** Bytes of noise that the processor makes; the rest is copied on the device. */
const NOISE = 1 << 20;

/**
 * What a device may be slow with lies nowhere in it: `noise`.
 * @throws GpuMemoryError where the device has no room.
 */
export async function createBench(device: GPUDevice, pipelines: Pipelines, all: readonly Alone[]): Promise<Bench> {
  const buffers = createBuffers(device);
  try {
    const kept = [...new Set(all.flatMap((one) => one.kept))];
    await buffers.reserve(all.reduce((most, one) => Math.max(most, one.arena.bytes), 256));
    await buffers.keep(kept);
    const whole = matrix('arena', 1, 4);
    const { buffer: arena } = buffers.placeIn({ bytes: 16, offsets: new Map([[whole, 0]]) })(whole);
    fillWithNoise(device, [arena, ...kept.map((memory) => buffers.keptPlace(memory).buffer)]);
  } catch (error) {
    buffers.dispose();
    throw error;
  }
  return {
    prepare: ({ works, arena }) => prepare(device, pipelines, works, buffers.placeIn(arena)),
    dispose: () => buffers.dispose(),
  };
}

/** Numbers between −0.51 and 0.51, and read as twice as many float16 between −2 and 2: neither NaN nor infinite, subnormal or 0. */
export function noise(floats: number): Float32Array<ArrayBuffer> {
  const values = Float32Array.from({ length: floats }, (_, i) => ((i * 7919) % 1013) / 1013 - 0.5);
  const bits = new Uint32Array(values.buffer);
  bits.forEach((word, i) => (bits[i] = (word & 0xffff0000) | (word >>> 16)));
  return values;
}

function fillWithNoise(device: GPUDevice, buffers: readonly GPUBuffer[]): void {
  const encoder = device.createCommandEncoder();
  const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const source = device.createBuffer({ label: 'noise', size: NOISE, usage });
  device.queue.writeBuffer(source, 0, noise(NOISE / 4));
  for (const buffer of buffers) {
    for (let at = 0; at < buffer.size; at += NOISE) {
      encoder.copyBufferToBuffer(source, 0, buffer, at, Math.min(NOISE, buffer.size - at));
    }
  }
  device.queue.submit([encoder.finish()]);
  source.destroy();
}
