import type { ArchitectureName } from '../architectures/settings.ts';
import { batchNormEpsIn } from './metadata.ts';
import { underTorchvisionNames } from './names.ts';
import type { NamedTensors } from './types.ts';

/**
 * `fetch-weights` once wrote timm's MobileNetV3 under torchvision's names without its epsilon, 1e-5: read as torchvision's, 1e-3, it
 * predicts something else. Nothing tells such a file from one of torchvision's but a checksum or that it says its epsilon.
 */
export function mayBeEarlierConversion(architecture: ArchitectureName, { tensors, metadata }: NamedTensors): boolean {
  const says = batchNormEpsIn(metadata) !== null || underTorchvisionNames(tensors).batchNormEps !== null;
  return architecture === 'mobilenet_v3_small' && !says;
}

export const EARLIER_CONVERSION =
  'This weights file does not say which epsilon its batch norms have. It may have been converted by an earlier fetch-weights, which ' +
  'left that out: what it predicts is then not quite right. Whoever put it there: fetch it again with ' +
  'npm run fetch-weights -- mobilenet_v3_small.';
