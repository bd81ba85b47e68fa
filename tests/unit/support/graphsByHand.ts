import { graphBuilder, type GraphBuilder } from '../../../src/graph/builder.ts';
import type { Graph } from '../../../src/graph/types.ts';

/**
 * Small graphs for what the architectures never do, each named by it. All take three colours, halve the image once and end in a head of
 * five classes: two numbers that are no multiples of 4.
 */
export const graphsByHand: Readonly<Record<string, Graph>> = {
  'a value that two norms read': build('two_norms', (net, x) => {
    const left = relu(net, 'left', net.batchNorm2d('left.norm', x));
    const right = net.activation('right', net.batchNorm2d('right.norm', x), 'hardswish');
    return net.add('sum', conv(net, 'left.conv', left), conv(net, 'right.conv', right));
  }),
  'a value and its double': build('double', (net, x) => {
    const double = net.add('double', x, x);
    const norm = relu(net, 'relu', net.batchNorm2d('norm', double));
    return net.add('again', norm, norm);
  }),
  'an activation that is read twice': build('read_twice', (net, x) => {
    const value = relu(net, 'value', net.batchNorm2d('norm', x));
    const pooled = net.maxPool2d('pool', value, { kernel: 3, stride: 1, padding: 1 });
    return net.add('sum', conv(net, 'conv', value), pooled);
  }),
  'a norm whose value is read with and without activation': build('bare_norm', (net, x) => {
    const norm = net.batchNorm2d('norm', x);
    return net.add('sum', conv(net, 'bare', norm), conv(net, 'active', relu(net, 'relu', norm)));
  }),
  'a concatenation of an activation and of one value twice': build('copied_parts', (net, x) => {
    const active = net.activation('active', net.batchNorm2d('active.norm', x), 'hardswish');
    const raw = conv(net, 'raw', active);
    const all = net.concat('all', [active, raw, raw]);
    return conv(net, 'out', relu(net, 'relu', net.batchNorm2d('norm', all)));
  }),
  'a value in two concatenations, first in both': build('two_concats', (net, x) => {
    const shared = conv(net, 'shared', x);
    const one = net.concat('one', [shared, conv(net, 'b', x)]);
    const two = net.concat('two', [shared, conv(net, 'c', x)]);
    const sum = net.add('sum', one, two);
    return relu(net, 'relu', net.batchNorm2d('norm', sum));
  }),
  'two parts of one block, added up': build('parts_added', (net, x) => {
    const [a, b] = [conv(net, 'a', x), conv(net, 'b', x)];
    const all = net.concat('all', [a, b]);
    const sum = relu(net, 'sum.relu', net.batchNorm2d('sum.norm', net.add('sum', a, b)));
    return net.add('out', conv(net, 'all.conv', all), sum);
  }),
  'a dense block with a block inside': build('nested_blocks', (net, x) => {
    const inner = net.concat('inner', [x, layer(net, 'first', x, 4)]);
    const second = layer(net, 'second', inner, 4);
    const pair = net.concat('pair', [second, layer(net, 'third', inner, 8)]);
    const outer = net.concat('outer', [inner, pair]);
    const whole = net.concat('whole', [outer, layer(net, 'fourth', outer, 4)]);
    return relu(net, 'relu', net.batchNorm2d('norm', whole));
  }),
  'a dense layer whose only convolution writes into the block that it reads': build('no_bottleneck', (net, x) => {
    const pair = net.concat('pair', [x, normedConv(net, 'first', x)]);
    const three = net.concat('three', [pair, normedConv(net, 'second', pair)]);
    return conv(net, 'out', relu(net, 'relu', net.batchNorm2d('norm', three)));
  }),
  'a norm of a block, and a later one of a part of it': build('narrow_last', (net, x) => {
    const [a, b] = [conv(net, 'a', x), conv(net, 'b', x)];
    const whole = normedConv(net, 'whole', net.concat('all', [a, b]));
    return net.add('sum', whole, normedConv(net, 'part', a));
  }),
  'a value in two concatenations, each behind a norm': build('normed_concats', (net, x) => {
    const shared = conv(net, 'shared', x);
    const one = normedConv(net, 'one.out', net.concat('one', [conv(net, 'a', x), shared]));
    const two = normedConv(net, 'two.out', net.concat('two', [shared, conv(net, 'b', x)]));
    return net.add('sum', one, two);
  }),
  'two norms of a block, whose convolutions come in the other order': build('crossed', (net, x) => {
    const all = net.concat('all', [conv(net, 'a', x), conv(net, 'b', x)]);
    const [first, second] = [net.batchNorm2d('first.norm', all), net.batchNorm2d('second.norm', all)];
    const later = conv(net, 'second', relu(net, 'second.relu', second));
    return net.add('sum', conv(net, 'first', relu(net, 'first.relu', first)), later);
  }),
  'a part of a block behind a norm, a pool and factors': build('part_gathered', (net, x) => {
    const part = conv(net, 'part', x);
    const all = net.concat('all', [part, conv(net, 'beside', x)]);
    const norm = net.batchNorm2d('norm', part);
    const one = net.mul('one', part, excitation(net, 'se1', part));
    const two = net.mul('two', part, excitation(net, 'se2', part));
    const normed = conv(net, 'normed', relu(net, 'relu', norm));
    return net.add('sum', net.add('factored', one, two), net.add('others', normed, conv(net, 'out', all)));
  }),
  'squeeze and excitation of a value that others read too': build('squeezed', (net, x) => {
    const value = net.activation('value', net.batchNorm2d('norm', x), 'hardswish');
    const scaled = net.mul('scaled', value, excitation(net, 'se', value));
    const depthwise = net.conv2d('depthwise', value, 8, { kernel: 3, groups: 8 });
    const sum = net.add('sum', conv(net, 'project', scaled), depthwise);
    return net.mul('again', net.mul('twice', sum, excitation(net, 'se2', sum)), excitation(net, 'se3', value));
  }),
  'channels that fill no fours': build('odd_channels', (net, x) => {
    const narrow = net.conv2d('narrow', x, 6, { kernel: 3 });
    const gate = net.activation('gate', net.batchNorm2d('norm', narrow), 'hardswish');
    const depthwise = net.conv2d('depthwise', gate, 6, { kernel: 5, groups: 6, bias: true });
    const wide = net.conv2d('wide', net.activation('gate2', depthwise, 'hardswish'), 10, { kernel: 1, bias: true });
    return net.avgPool2d('pool', wide, { kernel: 2, stride: 2 });
  }),
  'dropout behind an activation, behind a factor and behind dropout': build(
    'dropped',
    (net, x) => net.mul('scaled', x, excitation(net, 'se', x)),
    (net, flat) => {
      const first = net.dropout('first', flat, 0.25);
      const hidden = relu(net, 'hidden.relu', net.linear('hidden', first, 10));
      return net.dropout('third', net.dropout('second', hidden, 0.5), 0.25);
    },
  ),
};

/** `body` gets a map of 8 channels, `neck` the means of what it gives. */
function build(
  architecture: string,
  body: (net: GraphBuilder, x: string) => string,
  neck: (net: GraphBuilder, flat: string) => string = (_, flat) => flat,
): Graph {
  const net = graphBuilder();
  const stem = net.conv2d('stem', net.input('input', 3), 8, { kernel: 3, stride: 2, bias: true });
  const features = body(net, stem);
  const flat = net.flatten('flatten', net.globalAvgPool('mean', features));
  net.linear('head', neck(net, flat), 5);
  return net.finish({ architecture, classes: 5, head: 'head', features });
}

function relu(net: GraphBuilder, name: string, x: string): string {
  return net.activation(name, x, 'relu');
}

function conv(net: GraphBuilder, name: string, x: string): string {
  return net.conv2d(name, x, 8, { kernel: 3 });
}

function normedConv(net: GraphBuilder, name: string, x: string): string {
  return conv(net, name, relu(net, `${name}.relu`, net.batchNorm2d(`${name}.norm`, x)));
}

/** Norm, ReLU, 1 × 1, norm, ReLU, 3 × 3: DenseNet's. */
function layer(net: GraphBuilder, name: string, x: string, channels: number): string {
  const narrow = net.conv2d(`${name}.1`, relu(net, `${name}.relu1`, net.batchNorm2d(`${name}.norm1`, x)), 8, {
    kernel: 1,
  });
  const ready = relu(net, `${name}.relu2`, net.batchNorm2d(`${name}.norm2`, narrow));
  return net.conv2d(`${name}.2`, ready, channels, { kernel: 3 });
}

function excitation(net: GraphBuilder, name: string, x: string): string {
  const squeezed = net.conv2d(`${name}.1`, net.globalAvgPool(`${name}.mean`, x), 6, { kernel: 1, bias: true });
  const wide = net.conv2d(`${name}.2`, relu(net, `${name}.relu`, squeezed), 8, { kernel: 1, bias: true });
  return net.activation(`${name}.scale`, wide, 'hardsigmoid');
}
