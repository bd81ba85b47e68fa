import { env, getKernel, type KernelConfig, type TensorInfo } from '@tensorflow/tfjs';
import { convolutionGeometry, type ConvolutionAttributes } from '../geometry.ts';
import { sizeOf } from './dispatch.ts';

/**
 * tfjs cuts a long sum of few outputs into slices, whose threads add to the output as they end: no two runs give the same bits.
 * Measured on lavapipe, 30 times 32 × 2048 · 2048 × 45 (ResNet50's head): seven different results. Where it would, its kernel for small
 * outputs is asked for, in which each output has one thread. The conditions are those of tfjs-backend-webgpu 4.22.0, or wider.
 */
const LONG = 2000;
/** Up to this many outputs, each has a workgroup of its own. */
const FEW = 128;
/** Tiles of 32 × 32 outputs; tfjs's own limit depends on the GPU, and this is the highest. */
const FEW_TILES = 32;
/** `MatMulSmallOutputSizeProgram`; −1: as tfjs chooses. */
const SMALL_OUTPUT = 2;

interface Product {
  readonly batch: number;
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
}

function inOneOrder<T>({ batch, rows, columns, inner }: Product, multiply: () => T): T {
  const tiles = Math.ceil(rows / 32) * Math.ceil(columns / 32);
  if (batch !== 1 || inner < LONG || rows * columns <= FEW || tiles > FEW_TILES) return multiply();
  env().set('WEBGPU_MATMUL_PROGRAM_TYPE', SMALL_OUTPUT);
  try {
    return multiply();
  } finally {
    env().set('WEBGPU_MATMUL_PROGRAM_TYPE', -1);
  }
}

/** tfjs's kernels, each made once: opening a device again changes nothing. */
let kernels: readonly KernelConfig[] | null = null;

export function orderedProducts(): readonly KernelConfig[] {
  kernels ??= [
    around('BatchMatMul', ({ inputs, attrs }) => {
      const { a, b } = inputs as { a: TensorInfo; b: TensorInfo };
      const { transposeA, transposeB } = attrs as { transposeA: boolean; transposeB: boolean };
      const [rows, inner] = lastTwo(a.shape, transposeA);
      const [, columns] = lastTwo(b.shape, transposeB);
      const batch = Math.max(sizeOf(a) / (rows * inner), sizeOf(b) / (columns * inner));
      return { batch, rows, columns, inner };
    }),
    // tfjs multiplies in some convolutions, too, and a convolution's product has one batch in two cases.
    around('Conv2D', ({ inputs, attrs }) => {
      const { x, filter } = inputs as { x: TensorInfo; filter: TensorInfo };
      const g = convolutionGeometry(x.shape, filter.shape, attrs as unknown as ConvolutionAttributes, false);
      const columns = g.outChannels;
      const inner = g.filterHeight * g.filterWidth * g.inChannels;
      // The filter covers the whole image, a map of 1 × 1 for instance: the images are the rows.
      const covered =
        g.filterHeight === g.inHeight && g.filterWidth === g.inWidth && g.padInfo.top === 0 && g.padInfo.left === 0;
      if (covered) return { batch: 1, rows: g.batchSize, columns, inner };
      // Else the pixels of the output are, and it takes a single image.
      return { batch: g.batchSize, rows: g.outHeight * g.outWidth, columns, inner };
    }),
  ];
  return kernels;
}

type Arguments = Parameters<KernelConfig['kernelFunc']>[0];

function around(name: string, sizes: (given: Arguments) => Product): KernelConfig {
  const original = getKernel(name, 'webgpu');
  return {
    ...original,
    kernelFunc: (given) => inOneOrder(sizes(given), () => original.kernelFunc(given)),
  };
}

function lastTwo(shape: readonly number[], transposed: boolean): [number, number] {
  const [rows, columns] = shape.slice(-2) as [number, number];
  return transposed ? [columns, rows] : [rows, columns];
}
