import type { Conv } from '../../../src/engine/compiled/calls.ts';
import { worksOf } from '../../../src/engine/compiled/device/commands.ts';
import { createPipelines } from '../../../src/engine/compiled/device/pipelines.ts';
import type { KernelTable } from '../../../src/engine/compiled/kernels.ts';
import { kept, matrix, plain, whole } from '../../../src/engine/compiled/memory.ts';
import { alone } from './alone.ts';

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
  const runs = await alone(device, createPipelines(device), worksOf(kernels, [{ call, scratch: null }]));
  const submitted = (times: number): Promise<unknown> => {
    runs.submit(times);
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
    dispose: () => runs.dispose(),
  };
}
