import { create } from '@bufbuild/protobuf';
import { inferShapes } from '../../graph/shapes.ts';
import type { Graph, Weights } from '../../graph/types.ts';
import { smallestPacked } from '../eightBit/smallestPacked.ts';
import { makerMatrix, makersOf } from '../makers.ts';
import { weightsOf } from '../parameter.ts';
import { typedValues } from '../typedValues.ts';
import type { Precision, WeightStorage } from '../types.ts';
import { uniqueNames } from '../uniqueNames.ts';
import { GraphProtoSchema, type GraphProto, type NodeProto, type TensorProto } from './generated/onnx_pb.ts';
import type { GraphWriter } from './graphWriter.ts';
import { operationsOf } from './operations.ts';
import { packedWeight } from './packedWeight.ts';
import { dataTypeOf, floatTensor, floatValue, node, tensor as rawTensor } from './values.ts';

export const inputName = 'image';
export const probabilitiesName = 'probabilities';
export const makersName = 'maker_probabilities';
/** Of the batch: the caller chooses it. */
const batch = { size: 'N', means: 'DATA_BATCH' };

/**
 * Graph → ONNX graph, NCHW, any batch. Values bear the names of our nodes, initializers those of torchvision's parameters.
 *
 * Where numbers are delicate the model stays in float32 whatever `precision` says: input, preprocessing (0–255 → normalised), softmax,
 * outputs. Casts are put in where a value is needed in another type.
 */
export function modelGraph(options: {
  readonly name: string;
  /** Ends in a softmax over `labels.length` classes. */
  readonly graph: Graph;
  readonly weights: Weights;
  readonly labels: readonly string[];
  readonly imageSize: number;
  readonly precision: Precision;
  readonly weightStorage: WeightStorage;
  readonly makerOutput: boolean;
}): GraphProto {
  const { name: modelName, graph, weights, labels, imageSize, precision, weightStorage, makerOutput } = options;
  if (labels.length !== graph.classes) throw new RangeError(`${labels.length} labels for ${graph.classes} classes`);
  const [first] = graph.nodes;
  const last = graph.nodes.at(-1);
  if (first?.op !== 'input' || last?.op !== 'softmax')
    throw new Error('An export graph goes from an input to a softmax.');
  // Images that are too small for the network are refused here; the shapes themselves are left to the runtime, with the batch.
  inferShapes(graph, imageSize);

  const nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [];
  const unique = uniqueNames([inputName, makersName]);
  const values = typedValues((name, type) => writer.emit('Cast', `${name}.${type}`, [name], { to: dataTypeOf[type] }));

  const writer: GraphWriter = {
    precision,
    weights,
    operand: (wanted, type = precision) => values.operand(wanted, type),
    floats(hint, numbers, shape, type = precision) {
      const name = unique(hint);
      const data = numbers instanceof Float32Array ? numbers : Float32Array.from(numbers);
      initializers.push(floatTensor(name, data, shape, type));
      return name;
    },
    parameter(of, kind) {
      const name = `${of}.${kind}`;
      const tensor = weightsOf(weights, name);
      if (kind === 'bias' || weightStorage === 'full' || tensor.data.length <= smallestPacked)
        return writer.floats(name, tensor.data, tensor.shape);
      return packedWeight(weightStorage, name, tensor, precision, writer, (hint, bytes, shape, type) => {
        const stored = unique(hint);
        initializers.push(rawTensor(stored, bytes, shape, type));
        return stored;
      });
    },
    emit(type, hint, inputs, attributes) {
      const name = unique(hint);
      nodes.push(node(type, name, inputs, name, attributes));
      return name;
    },
    bind: (of, name, type = precision) => values.bind(of, name, type),
  };

  writer.bind(first.name, inputName, 'float32');
  for (const one of graph.nodes.slice(1)) operationsOf(one, writer);
  if (writer.operand(last.name, 'float32') !== probabilitiesName)
    throw new Error(`The softmax is not called ${probabilitiesName}.`);
  const makers = makerOutput ? makersOf(labels) : null;
  if (makers) {
    const sums = makerMatrix(makers, labels.length, 'classes');
    const matrix = writer.floats('makers_of_classes', sums, [labels.length, makers.length], 'float32');
    nodes.push(node('MatMul', makersName, [probabilitiesName, matrix], makersName));
  }

  return create(GraphProtoSchema, {
    name: modelName,
    node: nodes,
    initializer: initializers,
    input: [
      floatValue(
        inputName,
        `RGB images, ${imageSize} × ${imageSize} pixels, values 0–255; the model normalises them itself`,
        [
          batch,
          { size: first.channels, means: 'DATA_CHANNEL' },
          { size: imageSize, means: 'DATA_FEATURE' },
          { size: imageSize, means: 'DATA_FEATURE' },
        ],
        'IMAGE',
      ),
    ],
    output: [
      floatValue(
        probabilitiesName,
        `Probability of each of the ${labels.length} classes, in the order of pacerid.classes; they sum to 1`,
        [batch, { size: labels.length }],
      ),
      ...(makers
        ? [
            floatValue(
              makersName,
              `Probability of each of the ${makers.length} makers, in the order of pacerid.makers; they sum to 1`,
              [batch, { size: makers.length }],
            ),
          ]
        : []),
    ],
  });
}
