import { isDepthwise } from '../../graph/convolution.ts';
import type { Conv2dNode, GraphNode, LinearNode } from '../../graph/types.ts';
import { flag, integer, integers, number, text, texts, type, type AttrText } from './graphDef.ts';
import type { GraphWriter } from './graphWriter.ts';
import { convolutionFilter, depthwiseFilter, matrix } from './layout.ts';

/**
 * The TensorFlow operations that stand for one node, each as TensorFlow.js carries it out (tfjs-converter/src/operations). Activations are
 * `[N,H,W,C]`, then `[N,C]`, float32. A convolution takes the ReLU that alone reads it, as TensorFlow.js' own converter fuses them.
 */
export function writeNode(node: GraphNode, writer: GraphWriter): void {
  const { name } = node;
  const x = () => writer.valueOf(node.inputs[0] as string);
  const float = { T: type('DT_FLOAT') };

  switch (node.op) {
    case 'input':
      throw new Error('Only the first node is an input.');
    case 'conv2d':
      return writeConvolution(node, writer);
    case 'linear':
      return writeLinear(node, writer);
    case 'batchNorm2d': {
      // Not folded into scale and shift: with its statistics, it is what the trained network computes.
      const statistics = (['weight', 'bias', 'running_mean', 'running_var'] as const).map((kind) =>
        writer.floats(`${name}.${kind}`, [node.channels], writer.parameter(name, kind).data),
      );
      return writer.emit('FusedBatchNormV3', name, [x(), ...statistics], {
        ...float,
        U: type('DT_FLOAT'),
        epsilon: number(node.eps),
        is_training: flag(false),
        data_format: text('NHWC'),
      });
    }
    case 'activation': {
      if (writer.isWritten(name)) return;
      if (node.kind === 'relu') return writer.emit('Relu', name, [x()], float);
      // relu6(x + 3) / 6; hardswish is x times that. torch.nn.Hardsigmoid, Hardswish.
      const scalar = (value: number, label: string) => writer.floats(label, [], Float32Array.of(value));
      writer.emit('AddV2', `${name}/shifted`, [x(), scalar(3, 'three')], float);
      writer.emit('Relu6', `${name}/clipped`, [`${name}/shifted`], float);
      const gate = node.kind === 'hardswish' ? `${name}/gate` : name;
      writer.emit('Mul', gate, [`${name}/clipped`, scalar(1 / 6, 'sixth')], float);
      if (node.kind === 'hardswish') writer.emit('Mul', name, [x(), gate], float);
      return;
    }
    case 'maxPool2d': {
      let from = x();
      if (node.padding > 0) {
        // TensorFlow.js' MaxPool knows no padding of its own choice. −∞ as torch pads with would do as well; the lowest float32 gives the same
        // maxima, as each window holds a pixel, none of which is lower, and it is a number in every shader language.
        const lowest = writer.floats('lowest', [], Float32Array.of(-3.4028234663852886e38));
        writer.emit('PadV2', `${name}/padded`, [from, paddings(node.padding, writer), lowest], {
          ...float,
          Tpaddings: type('DT_INT32'),
        });
        from = `${name}/padded`;
      }
      return writer.emit('MaxPool', name, [from], { ...float, ...pooling(node) });
    }
    case 'avgPool2d':
      return writer.emit('AvgPool', name, [x()], { ...float, ...pooling(node) });
    case 'globalAvgPool':
      return writer.emit('Mean', name, [x(), writer.integers('height_and_width', [2], [1, 2])], {
        ...float,
        Tidx: type('DT_INT32'),
        keep_dims: flag(true),
      });
    case 'flatten': {
      const channels = writer.channelsOf(name);
      return writer.emit('Reshape', name, [x(), writer.integers(`rows_of_${channels}`, [2], [-1, channels])], {
        ...float,
        Tshape: type('DT_INT32'),
      });
    }
    case 'add':
    case 'mul':
      return writer.emit(node.op === 'add' ? 'AddV2' : 'Mul', name, node.inputs.map(writer.valueOf), float);
    case 'concat':
      return writer.emit(
        'ConcatV2',
        name,
        [...node.inputs.map(writer.valueOf), writer.integers('channels_axis', [], [3])],
        { ...float, Tidx: type('DT_INT32'), N: integer(node.inputs.length) },
      );
    case 'channelAffine': {
      const perChannel = (label: string, values: readonly number[]) =>
        writer.floats(`${name}/${label}`, [values.length], Float32Array.from(values));
      writer.emit('Mul', `${name}/scaled`, [x(), perChannel('scale', node.scale)], float);
      return writer.emit('AddV2', name, [`${name}/scaled`, perChannel('shift', node.shift)], float);
    }
    case 'softmax':
      return writer.emit('Softmax', name, [x()], float);
    case 'dropout':
      throw new Error(`${name}: an export graph has no dropout.`);
  }
}

function writeConvolution(node: Conv2dNode, writer: GraphWriter): void {
  const { name, stride, padding, outChannels } = node;
  const depthwise = isDepthwise(node);
  if (node.groups > 1 && !depthwise)
    throw new Error(`${name}: TensorFlow.js has no convolution in ${node.groups} groups.`);
  const weight = writer.parameter(name, 'weight');
  const attributes = {
    T: type('DT_FLOAT'),
    strides: integers([1, stride, stride, 1]),
    dilations: integers([1, 1, 1, 1]),
    data_format: text('NHWC'),
    ...(padding === 0
      ? { padding: text('VALID') }
      : { padding: text('EXPLICIT'), explicit_paddings: integers([0, 0, ...Array<number>(4).fill(padding), 0, 0]) }),
  };
  writeProduct(node, writer, {
    weight: depthwise ? depthwiseFilter(weight) : convolutionFilter(weight),
    outs: outChannels,
    attributes,
    plain: depthwise ? 'DepthwiseConv2dNative' : 'Conv2D',
    fused: depthwise ? 'FusedDepthwiseConv2dNative' : '_FusedConv2D',
  });
}

function writeLinear(node: LinearNode, writer: GraphWriter): void {
  writeProduct(node, writer, {
    weight: matrix(writer.parameter(node.name, 'weight')),
    outs: node.outFeatures,
    attributes: { T: type('DT_FLOAT'), transpose_a: flag(false), transpose_b: flag(false) },
    plain: 'MatMul',
    fused: '_FusedMatMul',
  });
}

/**
 * A product with a weight, then bias and ReLU in the same operation. Where weights lie in 8 bits they are whole numbers, and what they give is
 * multiplied by its channel's scale before the bias.
 */
function writeProduct(
  node: Conv2dNode | LinearNode,
  writer: GraphWriter,
  product: {
    readonly weight: { readonly shape: readonly number[]; readonly data: Float32Array };
    readonly outs: number;
    readonly attributes: Parameters<GraphWriter['emit']>[3];
    readonly plain: string;
    readonly fused: string;
  },
): void {
  const { name } = node;
  const { weight, outs, attributes, plain, fused } = product;
  const x = writer.valueOf(node.inputs[0] as string);
  const { filter, scales } = writer.filter(`${name}.weight`, weight.shape, weight.data, outs);
  const bias = node.bias ? writer.floats(`${name}.bias`, [outs], writer.parameter(name, 'bias').data) : null;
  const relu = writer.reluAfter(name);

  if (scales === null) {
    const fusedOps: AttrText[] = [
      ...(bias === null ? [] : ['BiasAdd' as const]),
      ...(relu === null ? [] : ['Relu' as const]),
    ];
    // TensorFlow.js takes what stands first for the bias: a ReLU alone is an operation of its own.
    if (bias === null) writer.emit(plain, name, [x, filter], attributes);
    else {
      const more = { num_args: integer(1), fused_ops: texts(fusedOps) };
      writer.emit(fused, name, [x, filter, bias], { ...attributes, ...more });
      if (relu !== null) writer.bind(relu, name);
    }
    return;
  }
  const float = { T: type('DT_FLOAT') };
  const product8 = `${name}/product`;
  writer.emit(plain, product8, [x, filter], attributes);
  const scaled = bias === null ? name : `${name}/scaled`;
  writer.emit('Mul', scaled, [product8, scales], float);
  if (bias !== null) writer.emit('BiasAdd', name, [scaled, bias], { ...float, data_format: text('NHWC') });
}

function pooling({ kernel, stride }: { readonly kernel: number; readonly stride: number }) {
  return {
    ksize: integers([1, kernel, kernel, 1]),
    strides: integers([1, stride, stride, 1]),
    padding: text('VALID'),
    data_format: text('NHWC'),
  };
}

/** `[4, 2]`: before and after, of each axis. */
function paddings(padding: number, writer: GraphWriter): string {
  return writer.integers(`padding_${padding}`, [4, 2], [0, 0, padding, padding, padding, padding, 0, 0]);
}
