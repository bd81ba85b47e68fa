import type { BatchNorm2dNode, GraphNode } from '../../graph/types.ts';
import { batchNormNumbers } from '../batchNorm.ts';
import { boolConstant, intConstant, intsConstant, stringConstant } from './milValues.ts';
import type { ProgramWriter } from './programWriter.ts';

/**
 * The MIL operations that stand for one node. Their semantics are those of coremltools' iOS 15 opset
 * (coremltools/converters/mil/mil/ops/defs/iOS15); each choice follows what its torch frontend writes unless a comment says why not.
 */
export function operationsOf(node: GraphNode, writer: ProgramWriter): void {
  const { name } = node;
  const shape = writer.shapeOf(name);
  const x = (type?: 'float32') => writer.operand(node.inputs[0] as string, type);
  const both = (size: number) => intsConstant([size, size]);
  /** [top, bottom, left, right] */
  const window = (kernelless: { stride: number; padding: number }) => ({
    strides: writer.constant(`${name}_strides`, both(kernelless.stride)),
    pad_type: writer.constant(`${name}_pad_type`, stringConstant('custom')),
    pad: writer.constant(`${name}_pad`, intsConstant(Array<number>(4).fill(kernelless.padding))),
  });

  switch (node.op) {
    case 'input':
      throw new Error('Only the first node is an input.');
    case 'conv2d':
      return writer.bind(
        name,
        writer.emit(
          'conv',
          name,
          {
            x: x(),
            weight: writer.parameter(name, 'weight'),
            ...(node.bias && { bias: writer.parameter(name, 'bias') }),
            ...window(node),
            dilations: writer.constant(`${name}_dilations`, both(1)),
            groups: writer.constant(`${name}_groups`, intConstant(node.groups)),
          },
          shape,
        ),
      );
    case 'batchNorm2d':
      return writer.bind(name, writer.emit('batch_norm', name, { x: x(), ...batchNorm(node, writer) }, shape));
    case 'activation':
      return writer.bind(name, activation(node.kind, name, x(), shape, writer));
    case 'maxPool2d':
      return writer.bind(
        name,
        writer.emit(
          'max_pool',
          name,
          {
            x: x(),
            kernel_sizes: writer.constant(`${name}_kernel_sizes`, both(node.kernel)),
            ...window(node),
            ceil_mode: writer.constant(`${name}_ceil_mode`, boolConstant(false)),
          },
          shape,
        ),
      );
    case 'avgPool2d':
      return writer.bind(
        name,
        writer.emit(
          'avg_pool',
          name,
          {
            x: x(),
            kernel_sizes: writer.constant(`${name}_kernel_sizes`, both(node.kernel)),
            ...window({ stride: node.stride, padding: 0 }),
            exclude_padding_from_average: writer.constant(`${name}_exclude_padding`, boolConstant(false)),
            ceil_mode: writer.constant(`${name}_ceil_mode`, boolConstant(false)),
          },
          shape,
        ),
      );
    case 'globalAvgPool': {
      const axes = writer.constant(`${name}_axes`, intsConstant([-2, -1]));
      const keepDims = writer.constant(`${name}_keep_dims`, boolConstant(true));
      return writer.bind(name, writer.emit('reduce_mean', name, { x: x(), axes, keep_dims: keepDims }, shape));
    }
    case 'flatten':
      return writer.bind(
        name,
        writer.emit('reshape', name, { x: x(), shape: writer.constant(`${name}_shape`, intsConstant(shape)) }, shape),
      );
    case 'linear':
      return writer.bind(
        name,
        writer.emit(
          'linear',
          name,
          {
            x: x(),
            weight: writer.parameter(name, 'weight'),
            ...(node.bias && { bias: writer.parameter(name, 'bias') }),
          },
          shape,
        ),
      );
    case 'add':
    case 'mul':
      return writer.bind(
        name,
        writer.emit(node.op, name, { x: x(), y: writer.operand(node.inputs[1] as string) }, shape),
      );
    case 'concat':
      return writer.bind(
        name,
        writer.emit(
          'concat',
          name,
          {
            values: node.inputs.map((input) => writer.operand(input)),
            axis: writer.constant(`${name}_axis`, intConstant(1)),
            interleave: writer.constant(`${name}_interleave`, boolConstant(false)),
          },
          shape,
        ),
      );
    case 'dropout':
      return writer.bind(name, x());
    case 'channelAffine': {
      // In float32: 1/(255·std) rounded to float16 would shift every pixel by up to 5e-4 of its value, all in one direction.
      const perChannel = [1, node.scale.length, 1, 1];
      const scale = writer.floats(`${name}_scale`, node.scale, perChannel, 'float32');
      const shift = writer.floats(`${name}_shift`, node.shift, perChannel, 'float32');
      const scaled = writer.emit('mul', `${name}_scaled`, { x: x('float32'), y: scale }, shape, 'float32');
      return writer.bind(name, writer.emit('add', name, { x: scaled, y: shift }, shape, 'float32'), 'float32');
    }
    case 'softmax': {
      const axis = writer.constant(`${name}_axis`, intConstant(-1));
      return writer.bind(name, writer.emit('softmax', name, { x: x('float32'), axis }, shape, 'float32'), 'float32');
    }
  }
}

function activation(
  kind: 'relu' | 'hardswish' | 'hardsigmoid',
  name: string,
  x: string,
  shape: readonly number[],
  writer: ProgramWriter,
): string {
  if (kind === 'relu') return writer.emit('relu', name, { x }, shape);
  // min(max(x/6 + 1/2, 0), 1) = relu6(x + 3)/6.
  const alpha = writer.floats(`${name}_alpha`, [1 / 6], []);
  const beta = writer.floats(`${name}_beta`, [1 / 2], []);
  const gateName = kind === 'hardswish' ? `${name}_gate` : name;
  const gate = writer.emit('sigmoid_hard', gateName, { x, alpha, beta }, shape);
  // coremltools puts a thresholded_relu(−3) before; the gate is 0 there anyway.
  return kind === 'hardswish' ? writer.emit('mul', name, { x, y: gate }, shape) : gate;
}

function batchNorm(node: BatchNorm2dNode, { weights, precision, floats }: ProgramWriter): Record<string, string> {
  const { gamma, beta, mean, variance } = batchNormNumbers(node, weights, precision);
  const write = (kind: string, values: Float32Array) => floats(`${node.name}.${kind}`, values, [node.channels]);
  const epsilon = floats(`${node.name}_epsilon`, [node.eps], []);
  return {
    mean: write(precision === 'float32' ? 'running_mean' : 'mean', mean),
    variance: write(precision === 'float32' ? 'running_var' : 'variance', variance),
    gamma: write('weight', gamma),
    beta: write('bias', beta),
    epsilon,
  };
}
