import type { TensorInfo } from '@tensorflow/tfjs';
import type { ActivationKind } from '../../../graph/types.ts';
import { ACTIVATION, ACTIVATION_GRADIENT } from '../ops/activation.ts';
import { allocate, view } from './heap.ts';
import { wasmKernel } from './kernel.ts';

/** Hardswish and hardsigmoid in one pass instead of four. (ReLU has a kernel of its own.) */
export const activation = wasmKernel(ACTIVATION, ({ x }: { x: TensorInfo }, { kind }: { kind: ActivationKind }) => {
  const output = allocate(x.shape);
  const y = view(output);
  const source = view(x);
  const swish = kind === 'hardswish';
  for (let i = 0; i < source.length; i++) {
    const value = source[i]!;
    const gate = value <= -3 ? 0 : value >= 3 ? 1 : (value + 3) / 6;
    y[i] = swish ? value * gate : gate;
  }
  return output;
});

export const activationGradient = wasmKernel(
  ACTIVATION_GRADIENT,
  ({ x, dy }: { x: TensorInfo; dy: TensorInfo }, { kind }: { kind: ActivationKind }) => {
    const output = allocate(x.shape);
    const dx = view(output);
    const source = view(x);
    const gradient = view(dy);
    if (kind === 'relu') {
      for (let i = 0; i < source.length; i++) dx[i] = source[i]! > 0 ? gradient[i]! : 0;
    } else if (kind === 'hardsigmoid') {
      for (let i = 0; i < source.length; i++) dx[i] = source[i]! > -3 && source[i]! < 3 ? gradient[i]! / 6 : 0;
    } else {
      for (let i = 0; i < source.length; i++) {
        const value = source[i]!;
        dx[i] = value <= -3 ? 0 : value >= 3 ? gradient[i]! : gradient[i]! * (value / 3 + 0.5);
      }
    }
    return output;
  },
);
