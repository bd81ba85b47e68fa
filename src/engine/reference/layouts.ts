import type { ParameterSpec } from '../../graph/types.ts';

/**
 * Torch's parameter layouts against tfjs's, converted once at the engine's border:
 * convolution `[out, in/groups, kH, kW]` ↔ `[kH, kW, in/groups, out]` (depthwise: `[kH, kW, C, 1]`, the same bytes as
 * `[kH, kW, 1, C]`), linear `[out, in]` ↔ `[in, out]`, vectors as they are.
 */
export interface Layout {
  readonly engineShape: readonly number[];
  toEngine(data: Float32Array): Float32Array;
  toTorch(data: Float32Array): Float32Array;
}

export function layoutOf(spec: ParameterSpec, depthwise: boolean): Layout {
  const { shape } = spec;
  if (shape.length === 4) {
    const [out, inner, height, width] = shape as [number, number, number, number];
    const taps = height * width;
    const engineShape = depthwise ? [height, width, out, 1] : [height, width, inner, out];
    return {
      engineShape,
      toEngine: (data) => transposed(data, out, inner * taps, (row) => (row % taps) * inner + Math.floor(row / taps)),
      toTorch: (data) => untransposed(data, out, inner * taps, (row) => (row % taps) * inner + Math.floor(row / taps)),
    };
  }
  if (shape.length === 2) {
    const [out, inner] = shape as [number, number];
    return {
      engineShape: [inner, out],
      toEngine: (data) => transposed(data, out, inner, (row) => row),
      toTorch: (data) => untransposed(data, out, inner, (row) => row),
    };
  }
  return { engineShape: shape, toEngine: (data) => data.slice(), toTorch: (data) => data.slice() };
}

/** `[out, inner]` → `[place(inner), out]`. */
function transposed(data: Float32Array, out: number, inner: number, place: (row: number) => number): Float32Array {
  const result = new Float32Array(data.length);
  for (let row = 0; row < inner; row++) {
    const target = place(row) * out;
    for (let o = 0; o < out; o++) result[target + o] = data[o * inner + row] as number;
  }
  return result;
}

function untransposed(data: Float32Array, out: number, inner: number, place: (row: number) => number): Float32Array {
  const result = new Float32Array(data.length);
  for (let row = 0; row < inner; row++) {
    const source = place(row) * out;
    for (let o = 0; o < out; o++) result[o * inner + row] = data[source + o] as number;
  }
  return result;
}
