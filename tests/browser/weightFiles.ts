import { architectures, buildGraph } from '../../src/architectures/index.ts';
import { initialWeights } from '../../src/architectures/initialise.ts';
import { writeSafetensors } from '../../src/weights/safetensors.ts';

/** A whole file of `tiny`, for a page that expects another network. */
export function otherNetwork(): Uint8Array {
  return writeSafetensors(initialWeights(buildGraph('tiny', 6), architectures.tiny, 1), {});
}

/** MobileNetV3-Small whose every running mean is 0 and every running variance 1, as folding leaves them. */
export function foldedAway(): Uint8Array {
  const graph = buildGraph('mobilenet_v3_small', 1000);
  return writeSafetensors(initialWeights(graph, architectures.mobilenet_v3_small, 1), {});
}
