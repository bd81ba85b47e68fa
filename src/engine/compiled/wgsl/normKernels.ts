import type { KernelTable } from '../kernels.ts';
import { activationBackward } from './activationBackward.ts';
import { avgPool, avgPoolBackward } from './avgPool.ts';
import { columnSums } from './columnSums.ts';
import { crossEntropy } from './crossEntropy.ts';
import { globalAvgPool, scaleGradient } from './imageSums.ts';
import { maxPool, maxPoolBackward } from './maxPool.ts';
import { normApply, normBackward } from './normBackward.ts';
import { normTableOfBatch, normTableOfRunning } from './normTable.ts';
import { add, fill, materialise } from './pointwise.ts';
import { statistics } from './statistics.ts';

/** All that moves memory rather than multiplies: norms, activations, pools, the loss. */
export const normKernels = {
  columnSums,
  statistics,
  normTableOfBatch,
  normTableOfRunning,
  normBackward,
  normApply,
  activationBackward,
  add,
  materialise,
  fill,
  maxPool,
  maxPoolBackward,
  avgPool,
  avgPoolBackward,
  globalAvgPool,
  scaleGradient,
  crossEntropy,
} satisfies Partial<KernelTable>;
