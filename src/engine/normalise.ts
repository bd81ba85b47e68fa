/** Per channel, of the range 0–1. */
export interface ChannelStatistics {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Writes RGB of 0–255 as `(x / 255 − mean) / std` to `out` from `offset` on. */
export function normaliseInto(
  out: Float32Array,
  offset: number,
  rgb: ArrayLike<number>,
  { mean, std }: ChannelStatistics,
): void {
  const [m0, m1, m2] = mean as [number, number, number];
  const [s0, s1, s2] = std as [number, number, number];
  for (let i = 0; i < rgb.length; i += 3) {
    out[offset + i] = ((rgb[i] as number) / 255 - m0) / s0;
    out[offset + i + 1] = ((rgb[i + 1] as number) / 255 - m1) / s1;
    out[offset + i + 2] = ((rgb[i + 2] as number) / 255 - m2) / s2;
  }
}
