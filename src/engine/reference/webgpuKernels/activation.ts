import type { TensorInfo } from '@tensorflow/tfjs';
import type { ActivationKind } from '../../../graph/types.ts';
import { ACTIVATION, ACTIVATION_GRADIENT } from '../ops/activation.ts';
import { allocate, dispatch, shader, sizeOf, webgpuKernel } from './dispatch.ts';

function forwardProgram(name: string, value: string) {
  return shader(name, {
    reads: ['x'],
    writes: ['y'],
    integers: ['size'],
    body: `
  if (index >= u.size) { return; }
  let v = x[index];
  y[index] = ${value};`,
  });
}

function backwardProgram(name: string, slope: string) {
  return shader(name, {
    reads: ['x', 'dy'],
    writes: ['dx'],
    integers: ['size'],
    body: `
  if (index >= u.size) { return; }
  let v = x[index];
  dx[index] = dy[index] * ${slope};`,
  });
}

const forwards = {
  relu: forwardProgram('relu', 'max(v, 0.0)'),
  hardswish: forwardProgram('hardswish', 'v * clamp(v + 3.0, 0.0, 6.0) / 6.0'),
  hardsigmoid: forwardProgram('hardsigmoid', 'clamp(v + 3.0, 0.0, 6.0) / 6.0'),
};

const backwards = {
  relu: backwardProgram('reluGradient', 'select(0.0, 1.0, v > 0.0)'),
  hardswish: backwardProgram('hardswishGradient', 'select(select(v / 3.0 + 0.5, 0.0, v <= -3.0), 1.0, v >= 3.0)'),
  hardsigmoid: backwardProgram('hardsigmoidGradient', 'select(0.0, 1.0 / 6.0, v > -3.0 && v < 3.0)'),
};

export const activation = webgpuKernel(ACTIVATION, ({ x }: { x: TensorInfo }, { kind }: { kind: ActivationKind }) => {
  const y = allocate(x.shape);
  dispatch(forwards[kind], [x, y], { integers: [sizeOf(x)] }, Math.ceil(sizeOf(x) / 64));
  return y;
});

export const activationGradient = webgpuKernel(
  ACTIVATION_GRADIENT,
  ({ x, dy }: { x: TensorInfo; dy: TensorInfo }, { kind }: { kind: ActivationKind }) => {
    const dx = allocate(x.shape);
    dispatch(backwards[kind], [x, dy, dx], { integers: [sizeOf(x)] }, Math.ceil(sizeOf(x) / 64));
    return dx;
  },
);
