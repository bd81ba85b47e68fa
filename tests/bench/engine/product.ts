import type { Conv } from '../../../src/engine/compiled/calls.ts';
import { encode, prepare, worksOf, type Place } from '../../../src/engine/compiled/device/commands.ts';
import { createPipelines } from '../../../src/engine/compiled/device/pipelines.ts';
import type { KernelTable } from '../../../src/engine/compiled/kernels.ts';
import { kept, matrix, plain, whole, type Memory } from '../../../src/engine/compiled/memory.ts';

const SIDE = 1024;
const TIMES = 5;
/** As long as a submit of a step. */
const SUBMIT_MS = 100;

/** The product of two matrices of 1024 × 1024 by the engine's own kernel. */
export interface Product {
  /** The quickest of five, each by itself, GFLOP/s. */
  readonly quickest: number;
  /** Milliseconds of one, where they come one after the other for so long at least; the device always has the next ones. */
  sustained(milliseconds: number): Promise<number>;
  dispose(): void;
}

/** Operations of one. */
export const PRODUCT_FLOP = 2 * SIDE ** 3;

export async function openProduct(device: GPUDevice, kernels: KernelTable): Promise<Product> {
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
  const submitted = (times: number): Promise<unknown> => {
    const encoder = device.createCommandEncoder();
    for (let i = 0; i < times; i++) encode(encoder, commands.list, 0, commands.list.length);
    device.queue.submit([encoder.finish()]);
    return device.queue.onSubmittedWorkDone();
  };
  await submitted(1);
  let quickest = Infinity;
  for (let i = 0; i < TIMES; i++) {
    const begun = performance.now();
    await submitted(1);
    quickest = Math.min(quickest, performance.now() - begun);
  }
  return {
    quickest: PRODUCT_FLOP / quickest / 1e6,
    async sustained(milliseconds) {
      const together = Math.ceil(SUBMIT_MS / quickest);
      const from = performance.now();
      let times = together;
      let underWay = submitted(together);
      for (; performance.now() - from < milliseconds; times += together) {
        const next = submitted(together);
        await underWay;
        underWay = next;
      }
      await underWay;
      return (performance.now() - from) / times;
    },
    dispose() {
      commands.dispose();
      for (const { buffer } of places.values()) buffer.destroy();
    },
  };
}
