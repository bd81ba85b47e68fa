import { describe, expect, it } from 'vitest';
import { buildGraph } from '../../../src/architectures/index.ts';
import { graphBuilder } from '../../../src/graph/builder.ts';
import { ImageTooSmallError, inferShapes } from '../../../src/graph/shapes.ts';

describe('a builder refuses', () => {
  const net = graphBuilder();
  const input = net.input('input', 3);
  const four = net.conv2d('four', input, 4, { kernel: 3 });
  const pooled = net.globalAvgPool('pooled', four);
  const flat = net.flatten('flat', pooled);

  it.each([
    ['a name that is taken', () => net.activation('four', input, 'relu'), /Two nodes are named four/],
    ['an input that does not exist', () => net.activation('a', 'nowhere', 'relu'), /nowhere does not exist/],
    ['groups that do not divide the channels', () => net.conv2d('b', input, 4, { kernel: 1, groups: 2 }), /2 groups/],
    ['a sum of unequal shapes', () => net.add('c', input, four), /differ in shape/],
    ['a factor with height and width', () => net.mul('d', four, four), /not \[N,1,1,4\]/],
    ['a convolution of a flat input', () => net.conv2d('e', flat, 4, { kernel: 1 }), /no height and width/],
    ['a linear layer on a map', () => net.linear('f', four, 2), /flat input/],
    ['flattening a map', () => net.flatten('g', four), /pooled input/],
    ['a concatenation of a map and a pooled one', () => net.concat('h', [four, pooled]), /differ in form/],
    [
      'a last node of another number of classes',
      () => net.finish({ architecture: 'x', classes: 3, head: 'flat', features: 'four' }),
      /\[N, 3\]/,
    ],
  ])('%s', (_, build, message) => {
    expect(build).toThrow(message);
  });
});

describe('images that are too small', () => {
  it('are a named error that says where they vanish', () => {
    expect(() => inferShapes(buildGraph('densenet121', 2), 8)).toThrow(ImageTooSmallError);
    expect(() => inferShapes(buildGraph('densenet121', 2), 8)).toThrow(
      /8 pixels .* densenet121.*features\.transition2\.pool/,
    );
  });
});
