import type { DeviceTraits, KernelTable } from '../kernels.ts';
import { convFilterGradientKernel } from './convFilterGradient.ts';
import { convInputGradientKernel } from './convInputGradient.ts';
import { convKernel } from './conv.ts';
import { depthwiseInputGradientKernel, depthwiseKernel, depthwiseTile } from './depthwise.ts';
import { depthwiseFilterGradientKernel } from './depthwiseFilterGradient.ts';
import { tilingOf, type Tiling } from './gemmTiles.ts';
import { normKernels } from './normKernels.ts';
import { sliceSumsKernel } from './sliceSums.ts';

/** The products of matrices, cut so. */
export function productKernels(tiling: Tiling): Pick<KernelTable, 'conv' | 'convInputGradient' | 'convFilterGradient'> {
  return {
    conv: convKernel(tiling),
    convInputGradient: convInputGradientKernel(tiling),
    convFilterGradient: convFilterGradientKernel(tiling),
  };
}

/** All kernels in WGSL, as they suit a device. */
export function wgslKernels(traits: DeviceTraits, tiling: Tiling = tilingOf(traits)): KernelTable {
  const depthwise = depthwiseTile(traits);
  return {
    ...normKernels,
    depthwise: depthwiseKernel(depthwise),
    depthwiseInputGradient: depthwiseInputGradientKernel(depthwise),
    depthwiseFilterGradient: depthwiseFilterGradientKernel(depthwise),
    ...productKernels(tiling),
    sliceSums: sliceSumsKernel(traits),
  };
}
