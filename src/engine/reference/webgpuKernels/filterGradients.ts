import type { TensorInfo } from '@tensorflow/tfjs';
import { convolutionGeometry, type ConvolutionAttributes, type Geometry } from '../geometry.ts';
import { allocate, dispatch, free, shader, sizeOf, webgpuKernel, type Program } from './dispatch.ts';

/**
 * Filter gradients sum over N·Ho·Wo for few outputs. tfjs gives each output one thread with one long loop; here the sum is cut into
 * slices that run side by side (split-K), and a second dispatch adds them up.
 */
type Attributes = ConvolutionAttributes & { readonly filterShape: number[] };

const integers = [
  'rows', // N·Ho·Wo
  'slices',
  'taps', // kH·kW·Cin, or kH·kW·C depthwise
  'outChannels',
  'height',
  'width',
  'channels',
  'outHeight',
  'outWidth',
  'kernelWidth',
  'stride',
  'pad',
] as const;

/** Value of the input under a tap, zero outside. `m`: output pixel. */
const gather = `
fn gather(m : i32, ky : i32, kx : i32, c : i32) -> f32 {
  let y = ((m / u.outWidth) % u.outHeight) * u.stride + ky - u.pad;
  let column = (m % u.outWidth) * u.stride + kx - u.pad;
  if (y < 0 || y >= u.height || column < 0 || column >= u.width) { return 0.0; }
  let n = m / (u.outWidth * u.outHeight);
  return x[((n * u.height + y) * u.width + column) * u.channels + c];
}`;

/**
 * dW `[taps, Cout]` = patchesᵀ · dy as an implicit matrix product: tiles of 32 × 32 outputs, 64 threads with 4 × 4 each, 16 rows
 * staged at a time.
 */
const convolution = shader('convolutionFilterGradient', {
  reads: ['x', 'dy'],
  writes: ['partial'],
  integers,
  declarations: `${gather}
var<workgroup> left : array<f32, 512>;
var<workgroup> right : array<f32, 512>;`,
  body: `
  let columns = (u.outChannels + 31) / 32;
  let tiles = columns * ((u.taps + 31) / 32);
  let slice = group / tiles;
  let tap0 = ((group % tiles) / columns) * 32;
  let out0 = ((group % tiles) % columns) * 32;
  let each = (u.rows + u.slices - 1) / u.slices;
  let begin = slice * each;
  let end = min(u.rows, begin + each);
  // What this thread stages: one column of both tiles.
  let column = lane % 32;
  let tap = tap0 + column;
  let c = tap % u.channels;
  let ky = (tap / u.channels) / u.kernelWidth;
  let kx = (tap / u.channels) % u.kernelWidth;
  let out = out0 + column;
  // What it computes: rows 4·i …, columns 4·j … of the tile.
  let i = (lane / 8) * 4;
  let j = (lane % 8) * 4;
  var sum0 = vec4<f32>();
  var sum1 = vec4<f32>();
  var sum2 = vec4<f32>();
  var sum3 = vec4<f32>();
  for (var first = begin; first < end; first += 16) {
    for (var r = lane / 32; r < 16; r += 2) {
      let m = first + r;
      var a = 0.0;
      var b = 0.0;
      if (m < end) {
        if (tap < u.taps) { a = gather(m, ky, kx, c); }
        if (out < u.outChannels) { b = dy[m * u.outChannels + out]; }
      }
      left[r * 32 + column] = a;
      right[r * 32 + column] = b;
    }
    workgroupBarrier();
    for (var r = 0; r < 512; r += 32) {
      let b = vec4<f32>(right[r + j], right[r + j + 1], right[r + j + 2], right[r + j + 3]);
      sum0 += left[r + i] * b;
      sum1 += left[r + i + 1] * b;
      sum2 += left[r + i + 2] * b;
      sum3 += left[r + i + 3] * b;
    }
    workgroupBarrier();
  }
  let sums = array<vec4<f32>, 4>(sum0, sum1, sum2, sum3);
  for (var a = 0; a < 4; a++) {
    for (var b = 0; b < 4; b++) {
      let row = tap0 + i + a;
      let col = out0 + j + b;
      if (row < u.taps && col < u.outChannels) {
        partial[(slice * u.taps + row) * u.outChannels + col] = sums[a][b];
      }
    }
  }`,
});

/** One thread a tap, channel and slice. */
const depthwise = shader('depthwiseFilterGradient', {
  reads: ['x', 'dy'],
  writes: ['partial'],
  integers,
  declarations: gather,
  body: `
  let tap = index % u.taps;
  let slice = index / u.taps;
  if (slice >= u.slices) { return; }
  let c = tap % u.channels;
  let ky = (tap / u.channels) / u.kernelWidth;
  let kx = (tap / u.channels) % u.kernelWidth;
  let each = (u.rows + u.slices - 1) / u.slices;
  let end = min(u.rows, (slice + 1) * each);
  var sum = 0.0;
  for (var m = slice * each; m < end; m++) { sum += gather(m, ky, kx, c) * dy[m * u.outChannels + c]; }
  partial[index] = sum;`,
});

const addSlices = shader('addSlices', {
  reads: ['partial'],
  writes: ['total'],
  integers: ['size', 'slices'],
  body: `
  if (index >= u.size) { return; }
  var sum = 0.0;
  for (var s = 0; s < u.slices; s++) { sum += partial[s * u.size + index]; }
  total[index] = sum;`,
});

/** Enough slices to fill a GPU, none shorter than 128 rows, and no more than 32 MiB of partial sums. */
function slicesFor(rows: number, groupsASlice: number, outputs: number): number {
  const wanted = Math.ceil(512 / groupsASlice);
  return Math.max(1, Math.min(wanted, Math.ceil(rows / 128), Math.floor((8 << 20) / outputs)));
}

function gradient(
  program: Program,
  x: TensorInfo,
  dy: TensorInfo,
  g: Geometry,
  { filterShape, taps, groupsASlice }: { filterShape: number[]; taps: number; groupsASlice: number },
): TensorInfo {
  const dw = allocate(filterShape);
  const size = sizeOf(dw);
  const rows = g.batchSize * g.outHeight * g.outWidth;
  const slices = slicesFor(rows, groupsASlice, size);
  const values = [rows, slices, taps, g.outChannels, g.inHeight, g.inWidth, g.inChannels, g.outHeight, g.outWidth];
  const uniforms = { integers: [...values, g.filterWidth, g.strideHeight, g.padInfo.top] };
  // Depthwise groups hold 64 threads of any slice: rounded up once, not a slice.
  const groups = program === depthwise ? Math.ceil((taps * slices) / 64) : groupsASlice * slices;
  if (slices === 1) {
    dispatch(program, [x, dy, dw], uniforms, groups);
    return dw;
  }
  const partial = allocate([slices, size]);
  dispatch(program, [x, dy, partial], uniforms, groups);
  dispatch(addSlices, [partial, dw], { integers: [size, slices] }, Math.ceil(size / 64));
  free(partial);
  return dw;
}

export const conv2dBackpropFilter = webgpuKernel(
  'Conv2DBackpropFilter',
  ({ x, dy }: { x: TensorInfo; dy: TensorInfo }, attributes: Attributes) => {
    const { filterShape } = attributes;
    const g = convolutionGeometry(x.shape, filterShape, attributes, false);
    const taps = g.filterHeight * g.filterWidth * g.inChannels;
    const groupsASlice = Math.ceil(taps / 32) * Math.ceil(g.outChannels / 32);
    return gradient(convolution, x, dy, g, { filterShape, taps, groupsASlice });
  },
);

export const depthwiseBackpropFilter = webgpuKernel(
  'DepthwiseConv2dNativeBackpropFilter',
  ({ x, dy }: { x: TensorInfo; dy: TensorInfo }, attributes: Attributes) => {
    const { filterShape } = attributes;
    const g = convolutionGeometry(x.shape, filterShape, attributes, true);
    const taps = g.filterHeight * g.filterWidth * g.inChannels;
    return gradient(depthwise, x, dy, g, { filterShape, taps, groupsASlice: Math.ceil(taps / 64) });
  },
);
