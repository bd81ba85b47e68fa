import { create } from '@bufbuild/protobuf';
import { inferShapes, type NodeShape } from '../../graph/shapes.ts';
import type { Graph, Weights } from '../../graph/types.ts';
import { turn } from '../../turn.ts';
import { encode } from '../floatBytes.ts';
import { smallestPacked } from '../eightBit/smallestPacked.ts';
import { makerMatrix, makersOf } from '../makers.ts';
import { weightsOf } from '../parameter.ts';
import { typedValues } from '../typedValues.ts';
import type { WeightStorage } from '../types.ts';
import { uniqueNames } from '../uniqueNames.ts';
import { ProgramSchema, type Operation, type Program } from './generated/MIL_pb.ts';
import * as mil from './milValues.ts';
import type { MilFloat } from './milValues.ts';
import { operationsOf } from './operations.ts';
import { packedWeight } from './packedWeight.ts';
import type { ProgramWriter } from './programWriter.ts';
import { weightBlobWriter } from './weightBlob.ts';

/**
 * Graph → ML Program (MIL), opset CoreML5 (iOS 15; CoreML6, iOS 16, with weights in 8 bits), in the form in which coremltools 9 writes it: NCHW, one function `main`, every
 * argument a named const, floats of ten values or more in the weight file, the rest inline.
 *
 * Where numbers are delicate the program stays in float32 whatever `precision` says: preprocessing (0–255 → normalised) and
 * softmax. Casts are put in where a value is needed in another type.
 */
export interface MilProgram {
  readonly program: Program;
  /** Of the model that holds it. */
  readonly specificationVersion: number;
  /** `weights/weight.bin`. */
  readonly weightFile: Uint8Array<ArrayBuffer>;
}

export const inputName = 'image';
export const labelName = 'classLabel';
export const probabilitiesName = 'classLabel_probs';
export const makersName = 'maker_probs';
const inlineBelow = 10;
/** After so many ms whoever asks something of the same worker is answered. */
const longestTurn = 50;
/** iOS 15, macOS 12; and iOS 16, macOS 13, where weights may be packed. */
const opsets = {
  full: { name: 'CoreML5', specificationVersion: 6 },
  packed: { name: 'CoreML6', specificationVersion: 7 },
} as const;

export async function writeMilProgram(options: {
  /** Ends in a softmax over `labels.length` classes. */
  readonly graph: Graph;
  readonly weights: Weights;
  readonly labels: readonly string[];
  readonly imageSize: number;
  readonly precision: MilFloat;
  readonly weightStorage: WeightStorage;
  readonly makerOutput: boolean;
}): Promise<MilProgram> {
  const { graph, weights, labels, imageSize, precision, weightStorage, makerOutput } = options;
  if (labels.length !== graph.classes) throw new RangeError(`${labels.length} labels for ${graph.classes} classes`);
  const [first] = graph.nodes;
  const last = graph.nodes.at(-1);
  if (first?.op !== 'input' || last?.op !== 'softmax')
    throw new Error('An export graph goes from an input to a softmax.');

  const shapes = inferShapes(graph, imageSize);
  const operations: Operation[] = [];
  const blob = weightBlobWriter();
  const identifier = uniqueNames([inputName, labelName, probabilitiesName, makersName], milIdentifier);
  const values = typedValues((name, type, node) => {
    const dtype = writer.constant('dtype', mil.stringConstant(mil.castName[type]));
    return writer.emit('cast', `${name}_to_${mil.castName[type]}`, { x: name, dtype }, writer.shapeOf(node), type);
  });
  const shared = new Map<string, string>();

  const writer: ProgramWriter = {
    precision,
    weights,
    shapeOf: (node) => milShape(shapes.get(node) as NodeShape),
    operand: (node, type = precision) => values.operand(node, type),
    constant(hint, value) {
      const key = JSON.stringify(value.value, (_, part: unknown) =>
        typeof part === 'bigint' ? Number(part) : part instanceof Uint8Array ? [...part] : part,
      );
      const known = shared.get(key);
      if (known !== undefined) return known;
      const name = identifier(hint);
      operations.push(mil.constOperation(name, value));
      shared.set(key, name);
      return name;
    },
    floats(hint, values, shape, type = precision) {
      const data = values instanceof Float32Array ? values : Float32Array.from(values);
      if (data.length < inlineBelow) return writer.constant(hint, mil.floatConstant(hint, data, shape, type));
      const name = identifier(hint);
      const offset = blob.add(encode(hint, data, type), type);
      operations.push(mil.constOperation(name, mil.blobConstant(offset, shape, type)));
      return name;
    },
    parameter(node, kind) {
      const hint = `${node}.${kind}`;
      const tensor = weightsOf(weights, hint);
      if (weightStorage === 'full' || kind === 'bias' || tensor.data.length <= smallestPacked)
        return writer.floats(hint, tensor.data, tensor.shape);
      const name = identifier(hint);
      operations.push(
        packedWeight(weightStorage, name, tensor, precision, (bytes, shape, type) =>
          bytes.length < inlineBelow
            ? mil.bytesConstant(bytes, shape, type)
            : mil.blobConstant(blob.add(bytes, type), shape, type),
        ),
      );
      return name;
    },
    emit(type, hint, inputs, shape, as = precision) {
      const name = identifier(hint);
      operations.push(mil.operation(type, name, inputs, [{ name, type: mil.floatTensorType(as, shape) }]));
      return name;
    },
    bind: (node, name, type = precision) => values.bind(node, name, type),
  };

  writer.bind(first.name, inputName, 'float32');
  let turned = performance.now();
  for (const node of graph.nodes.slice(1)) {
    operationsOf(node, writer);
    if (performance.now() - turned < longestTurn) continue;
    await turn();
    turned = performance.now();
  }
  const probabilities = writer.operand(last.name, 'float32');
  const outputs = [labelName, probabilitiesName];
  if (makerOutput) {
    operations.push(makersOperation(probabilities, labels, writer));
    outputs.push(makersName);
  }
  operations.push(
    mil.operation('classify', 'classify', { probabilities, classes: mil.stringListValue(labels) }, [
      { name: labelName, type: mil.stringType() },
      { name: probabilitiesName, type: mil.probabilitiesType() },
    ]),
  );
  const opset = weightStorage === 'full' ? opsets.full : opsets.packed;
  const program = create(ProgramSchema, {
    version: 1n,
    functions: {
      main: {
        inputs: [{ name: inputName, type: mil.floatTensorType('float32', [1, first.channels, imageSize, imageSize]) }],
        opset: opset.name,
        blockSpecializations: { [opset.name]: { outputs, operations } },
      },
    },
  });
  return { program, specificationVersion: opset.specificationVersion, weightFile: blob.finish() };
}

/** `[1, makers]`, float32: the probabilities times a matrix of zeros and ones. */
function makersOperation(probabilities: string, labels: readonly string[], writer: ProgramWriter): Operation {
  const makers = makersOf(labels);
  const matrix = makerMatrix(makers, labels.length, 'makers');
  const weight = writer.floats('maker_of_class', matrix, [makers.length, labels.length], 'float32');
  const type = mil.floatTensorType('float32', [1, makers.length]);
  return mil.operation('linear', makersName, { x: probabilities, weight }, [{ name: makersName, type }]);
}

function milShape(shape: NodeShape): readonly number[] {
  if (shape.length === 1) return [1, shape[0]];
  const [height, width, channels] = shape;
  return [1, channels, height, width];
}

/** MIL's identifiers are `[A-Za-z_][A-Za-z0-9_@]*`: `features.0.conv` becomes `features_0_conv`. */
const milIdentifier = (hint: string): string => hint.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(?=\d)/, '_');
