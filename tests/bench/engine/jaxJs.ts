/**
 * jax-js: the same network in its own ops, `jit` around `valueAndGrad` and Adam, on its WebGPU backend as it comes. A process of its own,
 * with a device of its own. Arguments: network, batch, size; knows what four_convolutions is made of. Writes `ready`, or why it can't run
 * here; then makes a step for each line on its standard input and writes its ms and its loss, before the update.
 */
import { createInterface } from 'node:readline';
import type { numpy } from '@jax-js/jax';
import { parametersOf } from '../../../src/graph/parameters.ts';
import type { GraphNode } from '../../../src/graph/types.ts';
import { openNodeGpu } from '../../../src/platform/node/gpu.ts';
import { CLASSES, imagesOf, netOf, valuesOf } from './nets.ts';

type Matrix = numpy.Array;
// A `type`: jax-js takes no interfaces as trees.
type Parameters = Record<string, Matrix>;

const [name = '', batch, side] = process.argv.slice(2);
const [n, size] = [Number(batch), Number(side)];
const [RATE, BETA1, BETA2, EPSILON] = [1e-4, 0.9, 0.999, 1e-8];
const graph = netOf(name);

try {
  const step = await opened();
  console.log('ready');
  for await (const _ of createInterface({ input: process.stdin })) console.log((await step()).join(' '));
} catch (error) {
  console.log(`failed: ${(error as Error).message.split('\n')[0]}`);
}
process.exit(0);

/** What makes a step and says its ms and loss. */
async function opened(): Promise<() => Promise<[milliseconds: number, loss: number]>> {
  if (!(await openNodeGpu())) throw new Error('no WebGPU');
  // jax-js asks for it while it is loaded, and Node before 21 has no navigator.
  const navigator = globalThis.navigator as { userAgent?: string };
  navigator.userAgent ??= 'Node';
  const { defaultDevice, getWebGPUDevice, init, jit, lax, nn, numpy: np, valueAndGrad } = await import('@jax-js/jax');
  if (!(await init('webgpu')).includes('webgpu')) throw new Error('no WebGPU device');
  defaultDevice('webgpu');
  let failure: string | null = null;
  getWebGPUDevice().addEventListener('uncapturederror', (event) => (failure ??= event.error.message));

  const tensor = (data: Float32Array, shape: readonly number[]): Matrix =>
    np.array(data as Float32Array<ArrayBuffer>).reshape([...shape]);
  const specs = parametersOf(graph).filter(({ trainable }) => trainable);
  const each = (valueOf: (spec: (typeof specs)[number]) => Matrix): Parameters =>
    Object.fromEntries(specs.map((spec) => [spec.name, valueOf(spec)]));

  // Whoever takes a matrix frees it: `.ref` is one more claim to it.
  const nodeValue = (node: GraphNode, x: Matrix, parameters: Parameters): Matrix => {
    const own = (kind: string): Matrix => parameters[`${node.name}.${kind}`]!.ref;
    switch (node.op) {
      case 'input':
      case 'flatten':
        return x;
      case 'conv2d': {
        const padding: [number, number] = [node.padding, node.padding];
        return lax.convGeneralDilated(x, own('weight'), [node.stride, node.stride], [padding, padding]);
      }
      case 'batchNorm2d': {
        const channels = [1, node.channels, 1, 1];
        // From the mean, as tfjs does it; `nn.standardize` takes E[x²] − E[x]², whose rounding Adam blows up in the second step.
        const centred = x.ref.sub(np.mean(x, [0, 2, 3], { keepdims: true }));
        const variance = np.mean(np.square(centred.ref), [0, 2, 3], { keepdims: true });
        return centred
          .div(np.sqrt(variance.add(node.eps)))
          .mul(own('weight').reshape(channels))
          .add(own('bias').reshape(channels));
      }
      case 'activation':
        return nn.relu(x);
      case 'globalAvgPool':
        return np.mean(x, [2, 3]);
      case 'linear':
        return np.matmul(x, np.transpose(own('weight'))).add(own('bias'));
      default:
        throw new Error(`${node.op} is not in four_convolutions.`);
    }
  };
  const lossOf = (parameters: Parameters, images: Matrix, labels: Matrix): Matrix => {
    const logits = graph.nodes.reduce((x, node) => nodeValue(node, x, parameters), images);
    for (const parameter of Object.values(parameters)) parameter.dispose();
    return nn
      .logSoftmax(logits, -1)
      .mul(labels)
      .sum()
      .mul(-1 / n);
  };
  // jax-js itself has no optimiser; in its ops, and compiled with the rest. The corrections are 1 / (1 - β^t).
  const stepOf = jit(
    (
      before: { parameters: Parameters; first: Parameters; second: Parameters },
      corrections: { first: Matrix; second: Matrix },
      images: Matrix,
      labels: Matrix,
    ) => {
      const held = each(({ name }) => before.parameters[name]!.ref);
      const [loss, gradients] = valueAndGrad(lossOf)(held, images, labels);
      const first = each(({ name }) => before.first[name]!.mul(BETA1).add(gradients[name]!.ref.mul(1 - BETA1)));
      const second = each(({ name }) =>
        before.second[name]!.mul(BETA2).add(np.square(gradients[name]!).mul(1 - BETA2)),
      );
      const parameters = each(({ name }) => {
        const root = np.sqrt(second[name]!.ref.mul(corrections.second.ref)).add(EPSILON);
        return before.parameters[name]!.sub(first[name]!.ref.mul(corrections.first.ref).mul(RATE).div(root));
      });
      corrections.first.dispose();
      corrections.second.dispose();
      return { loss, after: { parameters, first, second } };
    },
  );

  let state = {
    parameters: each(({ shape, kind }) => tensor(valuesOf(shape, kind), shape)),
    first: each(({ shape }) => np.zeros([...shape])),
    second: each(({ shape }) => np.zeros([...shape])),
  };
  const images = tensor(channelsFirst(imagesOf(n, size)), [n, 3, size, size]);
  const labels = tensor(
    Float32Array.from({ length: n * CLASSES }, (_, i) => Number(i % CLASSES === Math.floor(i / CLASSES) % CLASSES)),
    [n, CLASSES],
  );
  let count = 0;
  return async () => {
    const begun = performance.now();
    count++;
    const corrections = { first: np.array(1 / (1 - BETA1 ** count)), second: np.array(1 / (1 - BETA2 ** count)) };
    const { loss, after } = stepOf(state, corrections, images.ref, labels.ref);
    state = after;
    const [value = Number.NaN] = await loss.data();
    const milliseconds = performance.now() - begun;
    if (failure !== null) throw new Error(failure);
    return [milliseconds, value];
  };
}

/** `[n, size, size, 3]` as `[n, 3, size, size]`. */
function channelsFirst(images: Float32Array): Float32Array {
  const pixels = size * size;
  return Float32Array.from(images, (_, i) => {
    const [image, channel, pixel] = [Math.floor(i / (3 * pixels)), Math.floor(i / pixels) % 3, i % pixels];
    return images[(image * pixels + pixel) * 3 + channel]!;
  });
}
