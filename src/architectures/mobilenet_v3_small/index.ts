import { graphBuilder, type GraphBuilder } from '../../graph/builder.ts';
import type { ActivationKind, Graph } from '../../graph/types.ts';
import { imagenetMean, imagenetStd, type Architecture } from '../types.ts';

/** torchvision.models.mobilenet_v3_small (mobilenetv3.py), width 1. */
const norm = { eps: 1e-3, momentum: 0.01 } as const;
const firstChannels = 16;
const lastConvChannels = 576;
const hidden = 1024;

interface Bottleneck {
  readonly kernel: number;
  readonly expanded: number;
  readonly out: number;
  readonly squeeze: boolean;
  readonly kind: ActivationKind;
  readonly stride: number;
}
const bottleneck = (
  kernel: number,
  expanded: number,
  out: number,
  squeeze: boolean,
  kind: ActivationKind,
  stride: number,
): Bottleneck => ({ kernel, expanded, out, squeeze, kind, stride });

const bottlenecks: readonly Bottleneck[] = [
  bottleneck(3, 16, 16, true, 'relu', 2),
  bottleneck(3, 72, 24, false, 'relu', 2),
  bottleneck(3, 88, 24, false, 'relu', 1),
  bottleneck(5, 96, 40, true, 'hardswish', 2),
  bottleneck(5, 240, 40, true, 'hardswish', 1),
  bottleneck(5, 240, 40, true, 'hardswish', 1),
  bottleneck(5, 120, 48, true, 'hardswish', 1),
  bottleneck(5, 144, 48, true, 'hardswish', 1),
  bottleneck(5, 288, 96, true, 'hardswish', 2),
  bottleneck(5, 576, 96, true, 'hardswish', 1),
  bottleneck(5, 576, 96, true, 'hardswish', 1),
];

/** To the nearest multiple of 8, never more than 10 % down (torchvision's `_make_divisible`). */
function roundedTo8(channels: number): number {
  const rounded = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return rounded < 0.9 * channels ? rounded + 8 : rounded;
}

interface ConvNorm {
  readonly out: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly groups?: number;
  readonly kind: ActivationKind | null;
}

/** torchvision's Conv2dNormActivation: `.0` convolution, `.1` batch norm, `.2` activation. */
function convNorm(net: GraphBuilder, name: string, input: string, { out, kind, ...options }: ConvNorm): string {
  let x = net.conv2d(`${name}.0`, input, out, options);
  x = net.batchNorm2d(`${name}.1`, x, norm);
  return kind ? net.activation(`${name}.2`, x, kind) : x;
}

function squeezeExcitation(net: GraphBuilder, name: string, input: string, channels: number): string {
  let scale = net.globalAvgPool(`${name}.avgpool`, input);
  scale = net.conv2d(`${name}.fc1`, scale, roundedTo8(Math.floor(channels / 4)), { kernel: 1, bias: true });
  scale = net.activation(`${name}.activation`, scale, 'relu');
  scale = net.conv2d(`${name}.fc2`, scale, channels, { kernel: 1, bias: true });
  scale = net.activation(`${name}.scale_activation`, scale, 'hardsigmoid');
  return net.mul(`${name}.mul`, input, scale);
}

function invertedResidual(net: GraphBuilder, name: string, input: string, inChannels: number, b: Bottleneck): string {
  let position = 0;
  const next = (): string => `${name}.block.${position++}`;
  let x = input;
  if (b.expanded !== inChannels) x = convNorm(net, next(), x, { out: b.expanded, kernel: 1, kind: b.kind });
  const { expanded: groups, kernel, stride, kind } = b;
  x = convNorm(net, next(), x, { out: b.expanded, kernel, stride, groups, kind });
  if (b.squeeze) x = squeezeExcitation(net, next(), x, b.expanded);
  x = convNorm(net, next(), x, { out: b.out, kernel: 1, kind: null });
  return b.stride === 1 && inChannels === b.out ? net.add(`${name}.add`, x, input) : x;
}

function build(classes: number): Graph {
  const net = graphBuilder();
  let x = net.input('input', 3);
  x = convNorm(net, 'features.0', x, { out: firstChannels, kernel: 3, stride: 2, kind: 'hardswish' });
  let channels = firstChannels;
  bottlenecks.forEach((b, index) => {
    x = invertedResidual(net, `features.${index + 1}`, x, channels, b);
    channels = b.out;
  });
  const last = `features.${bottlenecks.length + 1}`;
  const features = convNorm(net, last, x, { out: lastConvChannels, kernel: 1, kind: 'hardswish' });
  x = net.globalAvgPool('avgpool', features);
  x = net.flatten('flatten', x);
  x = net.linear('classifier.0', x, hidden);
  x = net.activation('classifier.1', x, 'hardswish');
  x = net.dropout('classifier.2', x, 0.2);
  net.linear('classifier.3', x, classes);
  return net.finish({ architecture: 'mobilenet_v3_small', classes, head: 'classifier.3', features });
}

export const architecture: Architecture = {
  name: 'mobilenet_v3_small',
  label: 'MobileNetV3-Small',
  summary: 'Made for phones: trains many times faster than the large networks, 5 MB as float16.',
  build,
  mean: imagenetMean,
  std: imagenetStd,
  defaultSize: 224,
  minimumSize: 32,
  initialisation: { convolution: 'fan_out', linearWeight: { normal: 0.01 }, linearBias: 'zero' },
  parameterCount: 2_542_856,
  torchvision: 'mobilenet_v3_small',
};
