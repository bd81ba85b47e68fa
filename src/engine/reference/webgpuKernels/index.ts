import { getKernel, registerKernel, unregisterKernel } from '@tensorflow/tfjs';
import { activation, activationGradient } from './activation.ts';
import { batchNormApply, batchNormGradient, batchNormStatistics } from './batchNorm.ts';
import { conv2dBackpropFilter, depthwiseBackpropFilter } from './filterGradients.ts';
import { maxPool, maxPoolGrad } from './maxPool.ts';

const kernels = [
  activation,
  activationGradient,
  batchNormApply,
  batchNormGradient,
  batchNormStatistics,
  conv2dBackpropFilter,
  depthwiseBackpropFilter,
  maxPool,
  maxPoolGrad,
];

/** Fused training kernels for the WebGPU backend, and a max pool gradient that follows torch. */
export function registerWebGpuKernels(): void {
  for (const kernel of kernels) {
    if (getKernel(kernel.kernelName, 'webgpu') === kernel) continue;
    if (getKernel(kernel.kernelName, 'webgpu')) unregisterKernel(kernel.kernelName, 'webgpu');
    registerKernel(kernel);
  }
}
