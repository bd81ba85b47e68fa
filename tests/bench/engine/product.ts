import type { Conv } from '../../../src/engine/compiled/calls.ts';
import { encode, prepare, worksOf, type Place } from '../../../src/engine/compiled/device/commands.ts';
import { createPipelines } from '../../../src/engine/compiled/device/pipelines.ts';
import type { KernelTable } from '../../../src/engine/compiled/kernels.ts';
import { kept, matrix, plain, whole, type Memory } from '../../../src/engine/compiled/memory.ts';

const SIDE = 1024;
const TIMES = 5;

/** GFLOP/s of the product of two matrices of 1024 × 1024 by the engine's own kernel: the quickest of five. */
export async function bestProduct(device: GPUDevice, kernels: KernelTable): Promise<number> {
  const weight = kept('weight', SIDE * SIDE);
  const call: Conv = {
    kind: 'conv',
    node: 'product',
    images: SIDE,
    height: 1,
    width: 1,
    outHeight: 1,
    outWidth: 1,
    kernel: 1,
    stride: 1,
    padding: 0,
    source: plain(whole(matrix('left', SIDE, SIDE))),
    weight: { memory: weight, offset: 0 },
    bias: null,
    out: whole(matrix('out', SIDE, SIDE)),
    statistics: null,
  };
  const places = new Map<Memory, Place>();
  const placeOf = (memory: Memory): Place => {
    let place = places.get(memory);
    if (!place) {
      const size = memory.floats * 4;
      const buffer = device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
      device.queue.writeBuffer(buffer, 0, new Float32Array(memory.floats).fill(0.5));
      places.set(memory, (place = { buffer, offset: 0, size }));
    }
    return place;
  };
  const commands = await prepare(device, createPipelines(device), worksOf(kernels, [{ call, scratch: null }]), placeOf);
  let best = Infinity;
  for (let i = 0; i <= TIMES; i++) {
    const begun = performance.now();
    const encoder = device.createCommandEncoder();
    encode(encoder, commands.list, 0, commands.list.length);
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    // The first one warms up.
    if (i > 0) best = Math.min(best, performance.now() - begun);
  }
  commands.dispose();
  for (const { buffer } of places.values()) buffer.destroy();
  return (2 * SIDE ** 3) / best / 1e6;
}
