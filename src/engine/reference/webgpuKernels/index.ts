import { registerKernels } from '../registerKernels.ts';
import { activation, activationGradient } from './activation.ts';
import { augment } from './augmentation.ts';
import { batchNormApply, batchNormGradient, batchNormStatistics } from './batchNorm.ts';
import { conv2dBackpropFilter, depthwiseBackpropFilter } from './filterGradients.ts';
import { orderedProducts } from './matMul.ts';
import { maxPool, maxPoolGrad } from './maxPool.ts';

const kernels = [
  activation,
  activationGradient,
  augment,
  batchNormApply,
  batchNormGradient,
  batchNormStatistics,
  conv2dBackpropFilter,
  depthwiseBackpropFilter,
  maxPool,
  maxPoolGrad,
];

/**
 * Fused training kernels for the WebGPU backend, augmentation, a max pool gradient that follows torch, and products that give the same
 * bits twice.
 */
export function registerWebGpuKernels(): void {
  registerKernels([...kernels, ...orderedProducts()]);
}
