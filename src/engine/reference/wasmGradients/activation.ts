import type { TensorInfo } from '@tensorflow/tfjs';
import type { ActivationKind } from '../../../graph/types.ts';
import { ACTIVATION, ACTIVATION_GRADIENT } from '../ops/activation.ts';
import { allocate, free, sizeOf, view } from './heap.ts';
import { wasmKernel } from './kernel.ts';
import {
  absolute,
  add,
  channelVector,
  clip,
  inChunks,
  multiply,
  scratch,
  subtract,
  withRegion,
  withRegions,
} from './vectors.ts';

/** Times this, every positive number that isn't denormal is 1 or more. */
const HUGE = 3e38;

/** Hardswish, and hardsigmoid, which only sees a number a channel. (ReLU has a kernel of its own.) */
export const activation = wasmKernel(ACTIVATION, ({ x }: { x: TensorInfo }, { kind }: { kind: ActivationKind }) => {
  const output = allocate(x.shape);
  if (kind === 'hardswish') {
    withNumbers([3, 1 / 6], ([three, sixth]) =>
      everywhere([x, output], ([values, y]) => {
        add(values!, three!, y!);
        clip(y!, 0, 6, y!);
        multiply(y!, sixth!, y!);
        multiply(y!, values!, y!);
      }),
    );
    return output;
  }
  const y = view(output);
  const source = view(x);
  for (let i = 0; i < source.length; i++) {
    const value = source[i]!;
    y[i] = value <= -3 ? 0 : value >= 3 ? 1 : (value + 3) / 6;
  }
  return output;
});

export const activationGradient = wasmKernel(
  ACTIVATION_GRADIENT,
  ({ x, dy }: { x: TensorInfo; dy: TensorInfo }, { kind }: { kind: ActivationKind }) => {
    const output = allocate(x.shape);
    if (kind === 'relu') {
      withNumbers([HUGE], ([huge]) =>
        everywhere([x, dy, output], ([values, gradient, dx]) => {
          multiply(values!, huge!, dx!);
          clip(dx!, 0, 1, dx!);
          multiply(dx!, gradient!, dx!);
        }),
      );
    } else if (kind === 'hardswish') {
      hardswishGradient(x, dy, output);
    } else {
      const dx = view(output);
      const source = view(x);
      const gradient = view(dy);
      for (let i = 0; i < source.length; i++) dx[i] = source[i]! > -3 && source[i]! < 3 ? gradient[i]! / 6 : 0;
    }
    return output;
  },
);

/** The slope is (relu6(x + 3) + x where |x| < 3) / 6: 0 left of −3, x/3 + 1/2 between, 1 right of 3. */
function hardswishGradient(x: TensorInfo, dy: TensorInfo, output: TensorInfo): void {
  const part = scratch(1);
  withNumbers([3, 1 / 6, HUGE], ([three, sixth, huge]) =>
    everywhere([x, dy, output], ([values, gradient, dx]) =>
      withRegion(part, 0, dx!.length, (inside) => {
        absolute(values!, inside);
        subtract(three!, inside, inside);
        multiply(inside, huge!, inside);
        clip(inside, 0, 1, inside);
        multiply(inside, values!, inside);
        add(values!, three!, dx!);
        clip(dx!, 0, 6, dx!);
        add(dx!, inside, dx!);
        multiply(dx!, sixth!, dx!);
        multiply(dx!, gradient!, dx!);
      }),
    ),
  );
  free(part);
}

type Use = Parameters<typeof withRegions>[3];

function withNumbers(numbers: readonly number[], use: Use): void {
  const held = numbers.map((number) => channelVector(Float64Array.of(number)));
  withRegions(held, 0, 1, use);
  free(...held);
}

function everywhere(tensors: readonly TensorInfo[], use: Use): void {
  inChunks(sizeOf(tensors[0]!), 1, (first, length) => withRegions(tensors, first, length, use));
}
