import { create } from '@bufbuild/protobuf';
import { inferShapes } from '../../graph/shapes.ts';
import type { Graph, Weights } from '../../graph/types.ts';
import { makersOf } from '../makers.ts';
import type { Precision, WeightStorage } from '../types.ts';
import { GraphProtoSchema, type GraphProto, type NodeProto, type TensorProto } from './generated/onnx_pb.ts';
import type { GraphWriter } from './graphWriter.ts';
import { operationsOf } from './operations.ts';
import { packedWeight, smallestPacked } from './packedWeight.ts';
import { dataTypeOf, floatTensor, floatValue, node, tensor } from './values.ts';

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
  const bound = new Map<string, { name: string; type: Precision; casts: Map<Precision, string> }>();

  const writer: GraphWriter = {
    precision,
    weights,
    operand(wanted, type = precision) {
      const value = bound.get(wanted);
      if (!value) throw new Error(`${wanted} has no value yet`);
      if (value.type === type) return value.name;
      const known = value.casts.get(type);
      if (known !== undefined) return known;
      const name = writer.emit('Cast', `${value.name}.${type}`, [value.name], { to: dataTypeOf[type] });
      value.casts.set(type, name);
      return name;
    },
    floats(hint, values, shape, type = precision) {
      const name = unique(hint);
      const data = values instanceof Float32Array ? values : Float32Array.from(values);
      initializers.push(floatTensor(name, data, shape, type));
      return name;
    },
    parameter(of, kind) {
      const name = `${of}.${kind}`;
      const values = weights.get(name);
      if (!values) throw new Error(`There are no weights named ${name}`);
      if (kind === 'bias' || weightStorage === 'full' || values.data.length <= smallestPacked)
        return writer.floats(name, values.data, values.shape);
      return packedWeight(weightStorage, name, values, precision, writer, (hint, bytes, shape, type) => {
        const stored = unique(hint);
        initializers.push(tensor(stored, bytes, shape, type));
        return stored;
      });
    },
    emit(type, hint, inputs, attributes) {
      const name = unique(hint);
      nodes.push(node(type, name, inputs, name, attributes));
      return name;
    },
    bind: (of, name, type = precision) => bound.set(of, { name, type, casts: new Map() }),
  };

  writer.bind(first.name, inputName, 'float32');
  for (const one of graph.nodes.slice(1)) operationsOf(one, writer);
  if (writer.operand(last.name, 'float32') !== probabilitiesName)
    throw new Error(`The softmax is not called ${probabilitiesName}.`);
  const makers = makerOutput ? makersOf(labels) : null;
  if (makers) {
    const sums = new Float32Array(labels.length * makers.length);
    makers.forEach(({ classes }, maker) => {
      for (const index of classes) sums[index * makers.length + maker] = 1;
    });
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

function uniqueNames(reserved: readonly string[]): (hint: string) => string {
  const used = new Set(reserved);
  return (hint) => {
    let name = hint;
    for (let n = 2; used.has(name); n++) name = `${hint}_${n}`;
    used.add(name);
    return name;
  };
}
