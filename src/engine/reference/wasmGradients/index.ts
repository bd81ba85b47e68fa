import { registerKernels } from '../registerKernels.ts';
import { activation, activationGradient } from './activation.ts';
import { batchNormApply, batchNormGradient, batchNormStatistics } from './batchNorm.ts';
import { channelConcat, channelSplit, spread } from './channels.ts';
import { conv2dBackpropFilter } from './conv2dBackpropFilter.ts';
import { conv2dBackpropInput } from './conv2dBackpropInput.ts';
import { depthwiseBackpropFilter, depthwiseBackpropInput } from './depthwiseBackprop.ts';
import { maxPool, maxPoolGrad } from './maxPool.ts';

const kernels = [
  activation,
  activationGradient,
  batchNormApply,
  batchNormGradient,
  batchNormStatistics,
  channelConcat,
  channelSplit,
  conv2dBackpropFilter,
  conv2dBackpropInput,
  depthwiseBackpropFilter,
  depthwiseBackpropInput,
  maxPool,
  maxPoolGrad,
  spread,
];

/** Gives the wasm backend what training needs: gradients that tfjs lacks there, or has in a slow form, and fused batch norm. */
export function registerWasmGradients(): void {
  registerKernels(kernels);
}
