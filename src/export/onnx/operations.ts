import type { ActivationKind, BatchNorm2dNode, GraphNode } from '../../graph/types.ts';
import { batchNormNumbers } from '../batchNorm.ts';
import type { GraphWriter } from './graphWriter.ts';

/**
 * The ONNX operators that stand for one node. Their semantics: onnx/docs/Operators.md, opset 17; no operator is written whose meaning
 * changed between opset 13 and 17.
 */
export function operationsOf(node: GraphNode, writer: GraphWriter): void {
  const { name } = node;
  const x = (type?: 'float32') => writer.operand(node.inputs[0] as string, type);
  const both = (size: number): readonly number[] => [size, size];
  const emit = (...[type, inputs, attributes]: [string, readonly string[], Parameters<GraphWriter['emit']>[3]?]) =>
    writer.bind(name, writer.emit(type, name, inputs, attributes));
  /** Symmetric, so that ONNX's order, [top, left, bottom, right], doesn't matter. */
  const window = ({ kernel, stride, padding }: { kernel: number; stride: number; padding: number }) => ({
    kernel_shape: both(kernel),
    strides: both(stride),
    pads: Array<number>(4).fill(padding),
  });
  const weights = (bias: boolean) => [
    writer.parameter(name, 'weight'),
    ...(bias ? [writer.parameter(name, 'bias')] : []),
  ];

  switch (node.op) {
    case 'input':
      throw new Error('Only the first node is an input.');
    case 'conv2d':
      return emit('Conv', [x(), ...weights(node.bias)], { ...window(node), dilations: both(1), group: node.groups });
    case 'batchNorm2d':
      return emit('BatchNormalization', [x(), ...batchNorm(node, writer)], { epsilon: { float: node.eps } });
    case 'activation':
      return writer.bind(name, activation(node.kind, name, x(), writer));
    case 'maxPool2d':
      return emit('MaxPool', [x()], window(node));
    case 'avgPool2d':
      return emit('AveragePool', [x()], window({ ...node, padding: 0 }));
    case 'globalAvgPool':
      return emit('GlobalAveragePool', [x()]);
    case 'flatten':
      return emit('Flatten', [x()], { axis: 1 });
    case 'linear':
      return emit('Gemm', [x(), ...weights(node.bias)], { transB: 1 });
    case 'add':
    case 'mul':
      return emit(node.op === 'add' ? 'Add' : 'Mul', [x(), writer.operand(node.inputs[1] as string)]);
    case 'concat':
      return emit(
        'Concat',
        node.inputs.map((input) => writer.operand(input)),
        { axis: 1 },
      );
    case 'dropout':
      return writer.bind(name, x());
    case 'channelAffine': {
      // In float32: 1/(255·std) rounded to float16 would shift every pixel by up to 5e-4 of its value, all in one direction.
      const perChannel = [1, node.scale.length, 1, 1];
      const scale = writer.floats(`${name}.scale`, node.scale, perChannel, 'float32');
      const shift = writer.floats(`${name}.shift`, node.shift, perChannel, 'float32');
      const scaled = writer.emit('Mul', `${name}.scaled`, [x('float32'), scale]);
      return writer.bind(name, writer.emit('Add', name, [scaled, shift]), 'float32');
    }
    case 'softmax':
      return writer.bind(name, writer.emit('Softmax', name, [x('float32')], { axis: 1 }), 'float32');
  }
}

/**
 * HardSwish as its own definition, HardSigmoid and Mul: ONNX specifies the operator as a function of these two, and onnxruntime takes
 * it apart before it runs it, on float32 and float16 alike.
 */
function activation(kind: ActivationKind, name: string, x: string, writer: GraphWriter): string {
  if (kind === 'relu') return writer.emit('Relu', name, [x]);
  const gate = kind === 'hardswish' ? `${name}.gate` : name;
  // min(max(x/6 + 1/2, 0), 1) = relu6(x + 3)/6.
  const gated = writer.emit('HardSigmoid', gate, [x], { alpha: { float: 1 / 6 }, beta: { float: 0.5 } });
  return kind === 'hardswish' ? writer.emit('Mul', name, [x, gated]) : gated;
}

/** Scale, shift, mean and variance. */
function batchNorm(node: BatchNorm2dNode, { weights, precision, floats }: GraphWriter): readonly string[] {
  const { gamma, beta, mean, variance } = batchNormNumbers(node, weights, precision);
  const write = (kind: string, values: Float32Array) => floats(`${node.name}.${kind}`, values, [node.channels]);
  return [write('weight', gamma), write('bias', beta), write('running_mean', mean), write('running_var', variance)];
}
