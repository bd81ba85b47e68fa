import { graphBuilder, type GraphBuilder } from '../../graph/builder.ts';
import type { Graph } from '../../graph/types.ts';
import { imagenetMean, imagenetStd, type Architecture } from '../types.ts';

/** torchvision.models.resnet50 (resnet.py): bottlenecks, 3, 4, 6 and 3 a stage. */
const stages = [
  { width: 64, blocks: 3, stride: 1 },
  { width: 128, blocks: 4, stride: 2 },
  { width: 256, blocks: 6, stride: 2 },
  { width: 512, blocks: 3, stride: 2 },
] as const;
const expansion = 4;

/** "v1.5": the stride sits on the 3×3 convolution. The shortcut comes last, as in torchvision's `state_dict`. */
function bottleneck(net: GraphBuilder, name: string, input: string, width: number, stride: number, project: boolean) {
  const outChannels = width * expansion;
  let x = net.conv2d(`${name}.conv1`, input, width, { kernel: 1 });
  x = net.batchNorm2d(`${name}.bn1`, x);
  x = net.activation(`${name}.relu1`, x, 'relu');
  x = net.conv2d(`${name}.conv2`, x, width, { kernel: 3, stride });
  x = net.batchNorm2d(`${name}.bn2`, x);
  x = net.activation(`${name}.relu2`, x, 'relu');
  x = net.conv2d(`${name}.conv3`, x, outChannels, { kernel: 1 });
  x = net.batchNorm2d(`${name}.bn3`, x);
  let shortcut = input;
  if (project) {
    shortcut = net.conv2d(`${name}.downsample.0`, input, outChannels, { kernel: 1, stride });
    shortcut = net.batchNorm2d(`${name}.downsample.1`, shortcut);
  }
  x = net.add(`${name}.add`, x, shortcut);
  return net.activation(`${name}.relu`, x, 'relu');
}

function build(classes: number): Graph {
  const net = graphBuilder();
  let x = net.input('input', 3);
  x = net.conv2d('conv1', x, 64, { kernel: 7, stride: 2 });
  x = net.batchNorm2d('bn1', x);
  x = net.activation('relu', x, 'relu');
  x = net.maxPool2d('maxpool', x, { kernel: 3, stride: 2, padding: 1 });
  stages.forEach(({ width, blocks, stride }, index) => {
    for (let block = 0; block < blocks; block++) {
      // Every stage's first block changes the number of channels, so its shortcut is projected.
      x = bottleneck(net, `layer${index + 1}.${block}`, x, width, block === 0 ? stride : 1, block === 0);
    }
  });
  const features = x;
  x = net.globalAvgPool('avgpool', features);
  x = net.flatten('flatten', x);
  net.linear('fc', x, classes);
  return net.finish({ architecture: 'resnet50', classes, head: 'fc', features });
}

export const architecture: Architecture = {
  name: 'resnet50',
  label: 'ResNet50',
  summary: 'A common choice with much memory: the largest of the four, 51 MB as float16.',
  build,
  mean: imagenetMean,
  std: imagenetStd,
  defaultSize: 224,
  minimumSize: 32,
  initialisation: { convolution: 'fan_out', linearWeight: 'torch', linearBias: 'torch' },
  parameterCount: 25_557_032,
  torchvision: 'resnet50',
};
