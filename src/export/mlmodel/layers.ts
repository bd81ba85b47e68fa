import type { MessageInitShape } from '@bufbuild/protobuf';
import type { BatchNorm2dNode, GraphNode, Weights } from '../../graph/types.ts';
import { batchNormNumbers } from '../batchNorm.ts';
import { PoolingLayerParams_PoolingType, type NeuralNetworkLayerSchema } from '../coreml/generated/NeuralNetwork_pb.ts';
import { weightsOf } from '../parameter.ts';
import type { WeightWriter } from './weights.ts';

export type LayerInit = MessageInitShape<typeof NeuralNetworkLayerSchema>;
type LayerKind = NonNullable<LayerInit['layer']>;

/**
 * Layers of one node; each but the last has an output of its own, the last one's is the node's name. Of layers that iOS 11 has,
 * whose values are `[1, 1, C, H, W]` (sequence and batch are 1; what we call `[N,C]` is `[1, 1, C, 1, 1]`).
 * Source: apple/coremltools, mlmodel/format/NeuralNetwork.proto.
 */
export function layersOf(node: GraphNode, weights: Weights, write: WeightWriter): readonly LayerInit[] {
  const { name, inputs } = node;
  const layer = (kind: LayerKind, from: readonly string[] = inputs, to = name): LayerInit => ({
    name: to,
    input: [...from],
    output: [to],
    layer: kind,
  });
  const parameter = (kind: string): Float32Array => weightsOf(weights, `${name}.${kind}`).data;
  const bias = (has: boolean) => ({
    hasBias: has,
    ...(has && { bias: write.vector(`${name}.bias`, parameter('bias')) }),
  });

  switch (node.op) {
    case 'conv2d':
      return [
        layer({
          case: 'convolution',
          value: {
            outputChannels: BigInt(node.outChannels),
            kernelChannels: BigInt(node.inChannels / node.groups),
            nGroups: BigInt(node.groups),
            kernelSize: square(node.kernel),
            stride: square(node.stride),
            dilationFactor: square(1),
            ConvolutionPaddingType: { case: 'valid', value: padding(node.padding) },
            weights: write.matrix(`${name}.weight`, parameter('weight'), node.outChannels),
            ...bias(node.bias),
          },
        }),
      ];
    case 'batchNorm2d':
      return [layer({ case: 'batchnorm', value: batchNorm(node, weights, write) })];
    case 'activation': {
      if (node.kind === 'relu')
        return [layer({ case: 'activation', value: { NonlinearityType: { case: 'ReLU', value: {} } } })];
      // min(max(x/6 + 1/2, 0), 1) = relu6(x + 3)/6.
      const gate: LayerKind = {
        case: 'activation',
        value: { NonlinearityType: { case: 'sigmoidHard', value: { alpha: 1 / 6, beta: 1 / 2 } } },
      };
      if (node.kind === 'hardsigmoid') return [layer(gate)];
      const gateName = `${name}/gate`;
      return [layer(gate, inputs, gateName), layer({ case: 'multiply', value: {} }, [...inputs, gateName])];
    }
    case 'maxPool2d':
      // Padded after a ReLU: zeros or −∞ come to the same.
      return [layer(pooling(PoolingLayerParams_PoolingType.MAX, node.kernel, node.stride, node.padding))];
    case 'avgPool2d':
      return [layer(pooling(PoolingLayerParams_PoolingType.AVERAGE, node.kernel, node.stride, 0))];
    case 'globalAvgPool':
      return [layer(pooling(PoolingLayerParams_PoolingType.AVERAGE, 0, 0, 0))];
    case 'flatten':
      return [layer({ case: 'flatten', value: {} })];
    case 'linear':
      return [
        layer({
          case: 'innerProduct',
          value: {
            inputChannels: BigInt(node.inFeatures),
            outputChannels: BigInt(node.outFeatures),
            weights: write.matrix(`${name}.weight`, parameter('weight'), node.outFeatures),
            ...bias(node.bias),
          },
        }),
      ];
    case 'add':
      return [layer({ case: 'add', value: {} })];
    case 'mul':
      return [layer({ case: 'multiply', value: {} })];
    case 'concat':
      return [layer({ case: 'concat', value: {} })];
    case 'softmax':
      return [layer({ case: 'softmax', value: {} })];
    default:
      throw new Error(`A neural network has no layer for ${node.op}`);
  }
}

const square = (size: number) => [BigInt(size), BigInt(size)];

/** Torch's: as much on every side; where the window doesn't come out even, the last pixels are left out. */
const padding = (amount: number) => {
  const edges = { startEdgeSize: BigInt(amount), endEdgeSize: BigInt(amount) };
  return { paddingAmounts: { borderAmounts: [edges, edges] } };
};

/** `kernel` 0: over all of height and width. */
function pooling(type: PoolingLayerParams_PoolingType, kernel: number, stride: number, amount: number): LayerKind {
  return {
    case: 'pooling',
    value: {
      type,
      kernelSize: square(kernel),
      stride: square(stride),
      PoolingPaddingType: { case: 'valid', value: padding(amount) },
      avgPoolExcludePadding: type === PoolingLayerParams_PoolingType.AVERAGE,
      globalPooling: kernel === 0,
    },
  };
}

function batchNorm(node: BatchNorm2dNode, weights: Weights, write: WeightWriter) {
  const { name, channels, eps } = node;
  const { gamma, beta, mean, variance } = batchNormNumbers(node, weights, write.precision);
  return {
    channels: BigInt(channels),
    epsilon: eps,
    gamma: write.vector(`${name}.weight`, gamma),
    beta: write.vector(`${name}.bias`, beta),
    mean: write.vector(`${name}.running_mean`, mean),
    variance: write.vector(`${name}.running_var`, variance),
  };
}
