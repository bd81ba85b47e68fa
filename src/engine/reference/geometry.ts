import { backend_util } from '@tensorflow/tfjs';

export interface ConvolutionAttributes {
  readonly strides: [number, number];
  readonly pad: number;
}

/** Extents of a 2-D convolution or pooling window on `[N,H,W,C]`. */
export type Geometry = backend_util.Conv2DInfo;

export function convolutionGeometry(
  inputShape: readonly number[],
  filterShape: readonly number[],
  { strides, pad }: ConvolutionAttributes,
  depthwise: boolean,
): Geometry {
  return backend_util.computeConv2DInfo(
    inputShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    strides,
    1,
    pad,
    undefined,
    depthwise,
  );
}
