import type { Operation, Tensor } from '../types.ts';
import { empty, STINT, type Work } from './work.ts';

type Convolution = Extract<Operation, { kind: 'conv' }>;

/** Columns (places of the output) and depth of a piece of the product: what stays in a core's second cache. */
const COLUMNS = 48;
const DEPTH = 512;

/** `out`: the output's shape, `[N, O, OH, OW]`. Sums are float64. */
export function convolution(
  op: Convolution,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  out: readonly number[],
): Work {
  // A product of matrices takes four channels of the output at once.
  return out[1]! / op.groups < 4 ? direct(op, x, weight, bias, out) : product(op, x, weight, bias, out);
}

/** x with a border of zeros. */
function padded({ shape, data }: Tensor, [top, bottom, left, right]: Convolution['pads']): Tensor {
  if (top + bottom + left + right === 0) return { shape, data };
  const [n, c, h, w] = shape as [number, number, number, number];
  const result = empty([n, c, h + top + bottom, w + left + right]);
  const [, , height, width] = result.shape as [number, number, number, number];
  for (let plane = 0; plane < n * c; plane++) {
    for (let y = 0; y < h; y++) {
      const from = (plane * h + y) * w;
      result.data.set(data.subarray(from, from + w), (plane * height + top + y) * width + left);
    }
  }
  return result;
}

/** Channel by channel: depthwise convolutions. */
function* direct(op: Convolution, x: Tensor, weight: Tensor, bias: Tensor | null, shape: readonly number[]): Work {
  const out = empty(shape);
  const [images, outChannels, height, width] = shape as [number, number, number, number];
  const [, channels, kernelHeight, kernelWidth] = weight.shape as [number, number, number, number];
  const source = padded(x, op.pads);
  const [, allChannels, sourceHeight, sourceWidth] = source.shape as [number, number, number, number];
  const sums = new Float64Array(height * width);
  let done = 0;
  for (let n = 0; n < images; n++) {
    for (let o = 0; o < outChannels; o++) {
      sums.fill(bias === null ? 0 : bias.data[o]!);
      const first = Math.floor(o / (outChannels / op.groups)) * channels;
      for (let c = 0; c < channels; c++) {
        const plane = (n * allChannels + first + c) * sourceHeight * sourceWidth;
        for (let i = 0; i < kernelHeight; i++) {
          for (let j = 0; j < kernelWidth; j++) {
            const factor = weight.data[((o * channels + c) * kernelHeight + i) * kernelWidth + j]!;
            const from = plane + i * op.dilations[0] * sourceWidth + j * op.dilations[1];
            for (let y = 0; y < height; y++) {
              const row = from + y * op.strides[0] * sourceWidth;
              for (let column = 0; column < width; column++)
                sums[y * width + column]! += factor * source.data[row + column * op.strides[1]]!;
            }
          }
        }
      }
      out.data.set(sums, (n * outChannels + o) * height * width);
      done += channels * kernelHeight * kernelWidth * height * width;
      if (done >= STINT) {
        yield done;
        done = 0;
      }
    }
  }
  yield done;
  return out;
}

/** Filters `[O, K]` times columns `[K, places]`, in pieces of `DEPTH` × `COLUMNS` and blocks of 4 × 4. */
function* product(op: Convolution, x: Tensor, weight: Tensor, bias: Tensor | null, shape: readonly number[]): Work {
  const out = empty(shape);
  const [images, allOutputs, height, width] = shape as [number, number, number, number];
  const [, channels, kernelHeight, kernelWidth] = weight.shape as [number, number, number, number];
  const source = padded(x, op.pads);
  const [, allChannels, sourceHeight, sourceWidth] = source.shape as [number, number, number, number];
  const outputs = allOutputs / op.groups;
  const depth = channels * kernelHeight * kernelWidth;
  const places = height * width;

  // Where, from a place's corner in the padded input, the numbers lie that its row of the filters is multiplied with.
  const steps = new Int32Array(depth);
  for (let k = 0; k < depth; k++) {
    const j = k % kernelWidth;
    const i = Math.floor(k / kernelWidth) % kernelHeight;
    const c = Math.floor(k / (kernelWidth * kernelHeight));
    steps[k] = (c * sourceHeight + i * op.dilations[0]) * sourceWidth + j * op.dilations[1];
  }

  const rows = new Float64Array(4 * DEPTH);
  const columns = new Float64Array(COLUMNS * DEPTH);
  const sums = new Float64Array(Math.ceil(outputs / 4) * 4 * COLUMNS);
  const corners = new Int32Array(COLUMNS);
  let done = 0;
  for (let n = 0; n < images; n++) {
    for (let group = 0; group < op.groups; group++) {
      const image = (n * allChannels + group * channels) * sourceHeight * sourceWidth;
      for (let place = 0; place < places; place += COLUMNS) {
        const count = Math.min(COLUMNS, places - place);
        for (let p = 0; p < count; p++) {
          const y = Math.floor((place + p) / width);
          const column = (place + p) % width;
          corners[p] = image + y * op.strides[0] * sourceWidth + column * op.strides[1];
        }
        sums.fill(0);
        for (let k = 0; k < depth; k += DEPTH) {
          const deep = Math.min(DEPTH, depth - k);
          packColumns(columns, source.data, steps.subarray(k, k + deep), corners, count);
          for (let o = 0; o < outputs; o += 4) {
            packRows(rows, weight.data, (group * outputs + o) * depth + k, depth, Math.min(4, outputs - o), deep);
            for (let p = 0; p < count; p += 4) multiply(rows, columns, p * deep, deep, sums, o * COLUMNS + p);
            done += 4 * deep * count;
            if (done >= STINT) {
              yield done;
              done = 0;
            }
          }
        }
        for (let o = 0; o < outputs; o++) {
          const channel = group * outputs + o;
          const shift = bias === null ? 0 : bias.data[channel]!;
          const to = (n * allOutputs + channel) * places + place;
          for (let p = 0; p < count; p++) out.data[to + p] = sums[o * COLUMNS + p]! + shift;
        }
      }
    }
  }
  yield done;
  return out;
}

/** Blocks of four columns, `[columns / 4][depth][4]`; what is missing of the last block stays as it was: nobody reads its sums. */
function packColumns(
  to: Float64Array,
  from: Float32Array,
  steps: Int32Array,
  corners: Int32Array,
  count: number,
): void {
  for (let p = 0; p < count; p++) {
    const corner = corners[p]!;
    let at = (p & ~3) * steps.length + (p & 3);
    for (let k = 0; k < steps.length; k++, at += 4) to[at] = from[corner + steps[k]!]!;
  }
}

/** `[depth][4]` of four filters; where there are fewer, the sums of the others are read by nobody. */
function packRows(
  to: Float64Array,
  from: Float32Array,
  start: number,
  apart: number,
  count: number,
  deep: number,
): void {
  for (let o = 0; o < count; o++) {
    for (let k = 0; k < deep; k++) to[k * 4 + o] = from[start + o * apart + k]!;
  }
}

/** Adds the product of four rows and four columns to a block of sums: sixteen numbers that stay in registers. */
function multiply(
  rows: Float64Array,
  columns: Float64Array,
  start: number,
  deep: number,
  sums: Float64Array,
  to: number,
): void {
  let s00 = 0;
  let s01 = 0;
  let s02 = 0;
  let s03 = 0;
  let s10 = 0;
  let s11 = 0;
  let s12 = 0;
  let s13 = 0;
  let s20 = 0;
  let s21 = 0;
  let s22 = 0;
  let s23 = 0;
  let s30 = 0;
  let s31 = 0;
  let s32 = 0;
  let s33 = 0;
  for (let k = 0, a = 0, b = start; k < deep; k++, a += 4, b += 4) {
    const a0 = rows[a]!;
    const a1 = rows[a + 1]!;
    const a2 = rows[a + 2]!;
    const a3 = rows[a + 3]!;
    const b0 = columns[b]!;
    s00 += a0 * b0;
    s10 += a1 * b0;
    s20 += a2 * b0;
    s30 += a3 * b0;
    const b1 = columns[b + 1]!;
    s01 += a0 * b1;
    s11 += a1 * b1;
    s21 += a2 * b1;
    s31 += a3 * b1;
    const b2 = columns[b + 2]!;
    s02 += a0 * b2;
    s12 += a1 * b2;
    s22 += a2 * b2;
    s32 += a3 * b2;
    const b3 = columns[b + 3]!;
    s03 += a0 * b3;
    s13 += a1 * b3;
    s23 += a2 * b3;
    s33 += a3 * b3;
  }
  sums[to]! += s00;
  sums[to + 1]! += s01;
  sums[to + 2]! += s02;
  sums[to + 3]! += s03;
  sums[to + COLUMNS]! += s10;
  sums[to + COLUMNS + 1]! += s11;
  sums[to + COLUMNS + 2]! += s12;
  sums[to + COLUMNS + 3]! += s13;
  sums[to + 2 * COLUMNS]! += s20;
  sums[to + 2 * COLUMNS + 1]! += s21;
  sums[to + 2 * COLUMNS + 2]! += s22;
  sums[to + 2 * COLUMNS + 3]! += s23;
  sums[to + 3 * COLUMNS]! += s30;
  sums[to + 3 * COLUMNS + 1]! += s31;
  sums[to + 3 * COLUMNS + 2]! += s32;
  sums[to + 3 * COLUMNS + 3]! += s33;
}
