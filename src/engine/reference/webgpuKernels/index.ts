import { registerKernels } from '../registerKernels.ts';
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
  registerKernels(kernels);
}
