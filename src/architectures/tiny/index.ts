import { graphBuilder } from '../../graph/builder.ts';
import type { Graph } from '../../graph/types.ts';
import { imagenetMean, imagenetStd, type Architecture } from '../types.ts';

/**
 * Ours, for a quick look, a phone, and tests: plain convolution → batch norm → ReLU, early downsampling and few layers, because
 * the wasm backend is fast at 1×1 and ordinary 3×3 convolutions and slow at everything that only moves data.
 */
const layers = [
  { out: 16, kernel: 3, stride: 2 },
  { out: 32, kernel: 3, stride: 2 },
  { out: 32, kernel: 3, stride: 1 },
  { out: 64, kernel: 3, stride: 2 },
  { out: 64, kernel: 3, stride: 1 },
  { out: 128, kernel: 1, stride: 1 },
] as const;

function build(classes: number): Graph {
  const net = graphBuilder();
  let x = net.input('input', 3);
  layers.forEach(({ out, kernel, stride }, index) => {
    x = net.conv2d(`features.${index}.conv`, x, out, { kernel, stride });
    x = net.batchNorm2d(`features.${index}.norm`, x);
    x = net.activation(`features.${index}.relu`, x, 'relu');
  });
  const features = x;
  x = net.globalAvgPool('pool', features);
  x = net.flatten('flatten', x);
  net.linear('classifier', x, classes);
  return net.finish({ architecture: 'tiny', classes, head: 'classifier', features });
}

export const architecture: Architecture = {
  name: 'tiny',
  label: 'Tiny',
  summary: 'For a quick look: small enough to learn from nothing in a minute, on any computer.',
  build,
  mean: imagenetMean,
  std: imagenetStd,
  defaultSize: 64,
  minimumSize: 16,
  initialisation: { convolution: 'fan_in', linearWeight: 'torch', linearBias: 'torch' },
  parameterCount: 207_416,
  torchvision: null,
};
