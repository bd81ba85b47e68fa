import type { ChannelAffineNode, Conv2dNode, Graph, Tensor, Weights } from '../../graph/types.ts';
import { weightsOf } from '../parameter.ts';

/**
 * Preprocessing as Core ML's older form does it while it reads the image: `channelScale · pixel + bias[channel]`, RGB. There is one
 * scale for all channels, and ImageNet's standard deviations differ: what is left of them, one factor a channel, goes into the
 * convolutions that read the image. That is exact, at the borders too: their padding is zero before and after a multiplication.
 */
export interface ImageScaler {
  readonly channelScale: number;
  readonly bias: readonly number[];
  /** Is to be multiplied to the channels after it; null where it is in the weights. */
  readonly factors: readonly number[] | null;
}

/**
 * Splits `preprocessing`, `x · scale[c] + shift[c]`, into a scaler and weights. `factors` remain where something else than a plain
 * convolution reads the image.
 */
export function splitPreprocessing(
  preprocessing: ChannelAffineNode,
  graph: Graph,
  weights: Weights,
): { scaler: ImageScaler; weights: Weights } {
  const { scale, shift, name } = preprocessing;
  const channelScale = scale.reduce((sum, value) => sum + value, 0) / scale.length;
  const factors = scale.map((value) => value / channelScale);
  const bias = shift.map((value, channel) => value / (factors[channel] as number));
  const readers = graph.nodes.filter(({ inputs }) => inputs.includes(name));
  if (!readers.every((node): node is Conv2dNode => node.op === 'conv2d' && node.groups === 1))
    return { scaler: { channelScale, bias, factors }, weights };

  const scaled = new Map(weights);
  for (const { name: reader } of readers) {
    const key = `${reader}.weight`;
    scaled.set(key, scaledInputs(weightsOf(weights, key), factors));
  }
  return { scaler: { channelScale, bias, factors: null }, weights: scaled };
}

/** `weight` is `[out, in, kH, kW]`. */
function scaledInputs({ shape, data }: Tensor, factors: readonly number[]): Tensor {
  const [, channels = 1, height = 1, width = 1] = shape;
  const area = height * width;
  return { shape, data: data.map((value, i) => value * (factors[Math.floor(i / area) % channels] as number)) };
}
