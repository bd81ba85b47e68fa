import type { Initialisation } from '../../../src/architectures/types.ts';
import { parametersOf, sizeOf } from '../../../src/graph/parameters.ts';
import type { Graph, Weights } from '../../../src/graph/types.ts';
import { fnv1a32, random } from '../../../src/random.ts';

/**
 * Weights and inputs by formula, the same bits as tests/python/formula.py, which feeds them to torchvision. So the fixtures
 * need to carry only torchvision's logits.
 */
const seed = 20190512;

/** `count` numbers in [−1, 1). */
export function signed(name: string, count: number): Float64Array {
  const { uniform } = random(seed, fnv1a32(name));
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = 2 * uniform() - 1;
  return values;
}

export function formulaTensor(name: string, shape: readonly number[]): Float32Array {
  const kind = name.slice(name.lastIndexOf('.') + 1);
  const values = signed(name, sizeOf(shape));
  const affine = (offset: number, scale: number): Float32Array =>
    new Float32Array(values.map((value) => offset + scale * value));
  if (kind === 'running_mean') return affine(0, 0.2);
  if (kind === 'running_var') return affine(1, 0.5);
  if (shape.length === 4) return affine(0, Math.sqrt(6 / sizeOf(shape.slice(1))));
  if (shape.length === 2) return affine(0, Math.sqrt(3 / (shape[1] as number)));
  if (kind === 'bias') return affine(0, 0.2);
  if (name.endsWith('bn3.weight')) return affine(0.15, 0.05);
  return affine(1, 0.25);
}

/** Every parameter and running statistic of a graph, in torch's layout. */
export function formulaWeights(graph: Graph): Weights {
  return new Map(parametersOf(graph).map(({ name, shape }) => [name, { shape, data: formulaTensor(name, shape) }]));
}

/**
 * A tensor of a new network: torch's own scales, uniform where it draws from a normal distribution. Biases and running statistics are
 * 0, the weights of the last batch norm of ResNet50's branches 0.2: formula.py says why.
 */
export function initialTensor(rule: Initialisation, name: string, shape: readonly number[]): Float32Array {
  const kind = name.slice(name.lastIndexOf('.') + 1);
  if (shape.length === 1) {
    return new Float32Array(sizeOf(shape)).fill(kind !== 'weight' ? 0 : name.endsWith('bn3.weight') ? 0.2 : 1);
  }
  const [outs, ins] = shape as [number, number];
  const linear = rule.linearWeight === 'torch' ? 1 / Math.sqrt(ins) : Math.sqrt(3) * rule.linearWeight.normal;
  const fan = (rule.convolution === 'fan_in' ? ins : outs) * sizeOf(shape.slice(2));
  const bound = shape.length === 4 ? Math.sqrt(6 / fan) : linear;
  return new Float32Array(signed(name, sizeOf(shape)).map((value) => bound * value));
}

/** Every parameter and running statistic of a new network, in torch's layout. */
export function initialFormulaWeights(graph: Graph, rule: Initialisation): Weights {
  return new Map(
    parametersOf(graph).map(({ name, shape }) => [name, { shape, data: initialTensor(rule, name, shape) }]),
  );
}

/** `[count, size, size, 3] float32` in [−2, 2): cells of 16 pixels plus noise. */
export function formulaImages(count: number, size: number): Float32Array {
  const cells = Math.ceil(size / 16);
  const coarse = signed(`images ${size} coarse`, count * cells * cells * 3);
  const fine = signed(`images ${size} fine`, count * size * size * 3);
  const images = new Float32Array(fine.length);
  let i = 0;
  for (let n = 0; n < count; n++) {
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const cell = ((n * cells + (y >> 4)) * cells + (x >> 4)) * 3;
        for (let c = 0; c < 3; c++, i++) {
          images[i] = 1.5 * (coarse[cell + c] as number) + 0.5 * (fine[i] as number);
        }
      }
    }
  }
  return images;
}
