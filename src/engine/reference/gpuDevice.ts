import type { OpenDevice } from './engine.ts';
import { openWebGpu } from './webgpuBackend.ts';
import { inPlaceOnWebGpu } from './webgpuKernels/inPlace.ts';
import { registerWebGpuKernels } from './webgpuKernels/index.ts';

/** tfjs's WebGPU backend on this adapter, with what training needs beside it. */
export async function openGpuDevice(adapter: GPUAdapter): Promise<OpenDevice> {
  const backend = await openWebGpu(adapter);
  registerWebGpuKernels();
  return { ...backend, inPlace: inPlaceOnWebGpu() };
}
