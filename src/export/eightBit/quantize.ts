export interface Quantized {
  /** One a weight, in the tensor's order; the weight is `scale · (value − zeroPoint)`, both of its channel. */
  readonly values: Int8Array<ArrayBuffer>;
  /** `[channels]`, > 0 */
  readonly scale: Float32Array<ArrayBuffer>;
  /** `[channels]` */
  readonly zeroPoint: Int8Array<ArrayBuffer>;
}

const steps = 255;
const lowest = -128;

/**
 * Weights in 8 bits by a scale and a zero point for each output channel, the tensor's first axis: −128 is the channel's least weight or
 * 0, 127 its greatest or 0, so that zero stays zero. As coremltools' `linear_quantize_weights(mode='linear')` does it.
 *
 * `rounded` is what the file makes of a scale (to float16, say); weights are divided by that one.
 */
export function quantize(
  weights: Float32Array,
  channels: number,
  rounded: (scale: number) => number = Math.fround,
): Quantized {
  const size = weights.length / channels;
  const values = new Int8Array(weights.length);
  const scale = new Float32Array(channels);
  const zeroPoint = new Int8Array(channels);
  for (let channel = 0; channel < channels; channel++) {
    const [from, to] = [channel * size, (channel + 1) * size];
    let [least, greatest] = [0, 0];
    for (let i = from; i < to; i++) {
      const weight = weights[i] as number;
      if (weight < least) least = weight;
      else if (weight > greatest) greatest = weight;
    }
    // A channel of zeros, or so near to it that the scale is none: any scale will do.
    const step = rounded((greatest - least) / steps) || 1;
    const zero = within(lowest - Math.round(least / step));
    scale[channel] = step;
    zeroPoint[channel] = zero;
    for (let i = from; i < to; i++) values[i] = within(Math.round((weights[i] as number) / step) + zero);
  }
  return { values, scale, zeroPoint };
}

function within(value: number): number {
  return Math.min(127, Math.max(lowest, value));
}
