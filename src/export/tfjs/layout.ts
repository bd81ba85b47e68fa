import type { Tensor } from '../../graph/types.ts';

/** torch's `[out, in, kH, kW]` → TensorFlow's `[kH, kW, in, out]`. */
export function convolutionFilter({ shape, data }: Tensor): Tensor {
  const [outs, ins, height, width] = shape as [number, number, number, number];
  const filter = new Float32Array(data.length);
  const taps = height * width;
  for (let out = 0; out < outs; out++) {
    for (let input = 0; input < ins; input++) {
      const from = (out * ins + input) * taps;
      for (let tap = 0; tap < taps; tap++) filter[(tap * ins + input) * outs + out] = data[from + tap] as number;
    }
  }
  return { shape: [height, width, ins, outs], data: filter };
}

/** torch's `[channels, 1, kH, kW]` → TensorFlow's `[kH, kW, channels, 1]`: one filter a channel. */
export function depthwiseFilter({ shape, data }: Tensor): Tensor {
  const [channels, , height, width] = shape as [number, number, number, number];
  return { shape: [height, width, channels, 1], data: transposed(data, channels, height * width) };
}

/** torch's `[out, in]` → TensorFlow's `[in, out]`. */
export function matrix({ shape, data }: Tensor): Tensor {
  const [outs, ins] = shape as [number, number];
  return { shape: [ins, outs], data: transposed(data, outs, ins) };
}

function transposed(data: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result[column * rows + row] = data[row * columns + column] as number;
    }
  }
  return result;
}
