import { graphBuilder, type GraphBuilder } from '../../graph/builder.ts';
import type { Graph } from '../../graph/types.ts';
import { imagenetMean, imagenetStd, type Architecture } from '../types.ts';

/** torchvision.models.densenet121 (densenet.py): growth 32, bottleneck 4, blocks of 6, 12, 24, 16 layers. */
const growth = 32;
const bottleneck = 4 * growth;
const blocks = [6, 12, 24, 16] as const;

/** norm → relu → conv, twice; its output is appended to its input. */
function denseLayer(net: GraphBuilder, name: string, input: string): string {
  let x = net.batchNorm2d(`${name}.norm1`, input);
  x = net.activation(`${name}.relu1`, x, 'relu');
  x = net.conv2d(`${name}.conv1`, x, bottleneck, { kernel: 1 });
  x = net.batchNorm2d(`${name}.norm2`, x);
  x = net.activation(`${name}.relu2`, x, 'relu');
  x = net.conv2d(`${name}.conv2`, x, growth, { kernel: 3 });
  return net.concat(`${name}.concat`, [input, x]);
}

function transition(net: GraphBuilder, name: string, input: string, outChannels: number): string {
  let x = net.batchNorm2d(`${name}.norm`, input);
  x = net.activation(`${name}.relu`, x, 'relu');
  x = net.conv2d(`${name}.conv`, x, outChannels, { kernel: 1 });
  return net.avgPool2d(`${name}.pool`, x, { kernel: 2, stride: 2 });
}

function build(classes: number): Graph {
  const net = graphBuilder();
  let x = net.input('input', 3);
  x = net.conv2d('features.conv0', x, 64, { kernel: 7, stride: 2 });
  x = net.batchNorm2d('features.norm0', x);
  x = net.activation('features.relu0', x, 'relu');
  x = net.maxPool2d('features.pool0', x, { kernel: 3, stride: 2, padding: 1 });
  let channels = 64;
  blocks.forEach((layers, index) => {
    const block = index + 1;
    for (let layer = 1; layer <= layers; layer++) {
      x = denseLayer(net, `features.denseblock${block}.denselayer${layer}`, x);
    }
    channels += layers * growth;
    if (block < blocks.length) {
      channels /= 2;
      x = transition(net, `features.transition${block}`, x, channels);
    }
  });
  x = net.batchNorm2d('features.norm5', x);
  const features = net.activation('features.relu5', x, 'relu');
  x = net.globalAvgPool('pool', features);
  x = net.flatten('flatten', x);
  net.linear('classifier', x, classes);
  return net.finish({ architecture: 'densenet121', classes, head: 'classifier', features });
}

export const architecture: Architecture = {
  name: 'densenet121',
  label: 'DenseNet121',
  summary: 'The original pipeline’s network: accurate, the slowest but one to train here, 16 MB as float16.',
  build,
  mean: imagenetMean,
  std: imagenetStd,
  defaultSize: 224,
  minimumSize: 32,
  initialisation: { convolution: 'fan_in', linearWeight: 'torch', linearBias: 'zero' },
  parameterCount: 7_978_856,
  torchvision: 'densenet121',
};
