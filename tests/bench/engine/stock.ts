/**
 * Stock tfjs: the same network in tfjs's own ops, its tape and its Adam, on its WebGPU backend as it comes. A process of its own, since
 * tfjs knows one WebGPU backend at a time, which here is the engine's. Arguments: network, batch, size. Makes a step for each line on its
 * standard input and writes its ms.
 */
import { createInterface } from 'node:readline';
import * as tf from '@tensorflow/tfjs';
import { isDepthwise } from '../../../src/graph/convolution.ts';
import { requestAdapter } from '../../../src/engine/adapter.ts';
import { openWebGpu } from '../../../src/engine/reference/webgpuBackend.ts';
import { parametersOf } from '../../../src/graph/parameters.ts';
import type { ActivationKind, GraphNode } from '../../../src/graph/types.ts';
import { nodeEngineEnvironment } from '../../../src/platform/node/engineEnvironment.ts';
import { CLASSES, imagesOf, netOf, valuesOf } from './nets.ts';

const [name = '', batch, side] = process.argv.slice(2);
const [n, size] = [Number(batch), Number(side)];
const adapter = await requestAdapter(await nodeEngineEnvironment({ gpu: true }));
if (!adapter) throw new Error('No WebGPU adapter.');
await openWebGpu(adapter);
tf.enableProdMode();

const graph = netOf(name);
const variables = new Map<string, tf.Variable>();
for (const { name: parameter, shape, kind, trainable, node } of parametersOf(graph)) {
  if (!trainable) continue;
  const data = valuesOf(shape, kind);
  const of = graph.nodes.find((one) => one.name === node)!;
  const [out = 1, inner = 1, height = 1, width = 1] = shape;
  const tfShape =
    of.op === 'conv2d' && kind === 'weight'
      ? isDepthwise(of)
        ? [height, width, out, 1]
        : [height, width, inner, out]
      : of.op === 'linear' && kind === 'weight'
        ? [inner, out]
        : [...shape];
  variables.set(parameter, tf.variable(tf.tensor(data, tfShape), true, parameter));
}
const images = tf.tensor4d(imagesOf(n, size), [n, size, size, 3]);
const labels = tf.oneHot(
  tf.tensor1d(
    Array.from({ length: n }, (_, i) => i % CLASSES),
    'int32',
  ),
  CLASSES,
);
const optimiser = tf.train.adam(1e-4);

async function step(): Promise<number> {
  const begun = performance.now();
  const loss = optimiser.minimize(() => tf.losses.softmaxCrossEntropy(labels, logits()).asScalar(), true, [
    ...variables.values(),
  ])!;
  await loss.data();
  loss.dispose();
  return performance.now() - begun;
}

function logits(): tf.Tensor {
  const values = new Map<string, tf.Tensor>();
  for (const node of graph.nodes) {
    values.set(
      node.name,
      valueOf(
        node,
        node.inputs.map((input) => values.get(input)!),
      ),
    );
  }
  return values.get(graph.nodes.at(-1)!.name)!;
}

function valueOf(node: GraphNode, [x, y]: tf.Tensor[]): tf.Tensor {
  const own = (kind: string): tf.Tensor => variables.get(`${node.name}.${kind}`)!;
  switch (node.op) {
    case 'input':
      return images;
    case 'conv2d': {
      const convolve = isDepthwise(node) ? tf.depthwiseConv2d : tf.conv2d;
      const out = convolve(x as tf.Tensor4D, own('weight') as tf.Tensor4D, node.stride, node.padding);
      return node.bias ? tf.add(out, own('bias')) : out;
    }
    case 'batchNorm2d': {
      const { mean, variance } = tf.moments(x!, [0, 1, 2]);
      return tf.batchNorm(
        x!,
        mean as tf.Tensor1D,
        variance as tf.Tensor1D,
        own('bias') as tf.Tensor1D,
        own('weight') as tf.Tensor1D,
        node.eps,
      );
    }
    case 'activation':
      return activated(x!, node.kind);
    case 'maxPool2d':
      return tf.maxPool(x as tf.Tensor4D, node.kernel, node.stride, node.padding);
    case 'avgPool2d':
      return tf.avgPool(x as tf.Tensor4D, node.kernel, node.stride, 0);
    case 'globalAvgPool':
      return tf.mean(x!, [1, 2], true);
    case 'flatten':
      return tf.reshape(x!, [n, -1]);
    case 'linear':
      return tf.add(tf.matMul(x as tf.Tensor2D, own('weight') as tf.Tensor2D), own('bias'));
    case 'add':
      return tf.add(x!, y!);
    case 'mul':
      return tf.mul(x!, y!);
    case 'concat':
      return tf.concat([x!, y!], 3);
    case 'dropout':
      return tf.dropout(x!, node.p);
    default:
      throw new Error(`${node.op} is of export graphs.`);
  }
}

function activated(x: tf.Tensor, kind: ActivationKind): tf.Tensor {
  if (kind === 'relu') return tf.relu(x);
  const gate = tf.div(tf.relu6(tf.add(x, 3)), 6);
  return kind === 'hardswish' ? tf.mul(x, gate) : gate;
}

console.log('ready');
for await (const _ of createInterface({ input: process.stdin })) console.log(String(await step()));
process.exit(0);
