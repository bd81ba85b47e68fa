import { UnreadableModelError } from '../errors.ts';
import type { Pause } from '../pauses.ts';
import { readMessage, type Message } from '../protobuf.ts';
import { tensorOf, type Constant } from './tensors.ts';

/** What onnx/onnx.proto3 puts into a file, without the wire: field numbers are in this file and `tensors.ts` alone. */
export interface OnnxModel {
  /** Of the default domain. */
  readonly opset: number;
  readonly metadata: ReadonlyMap<string, string>;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: ReadonlyMap<string, Constant>;
  /** Without those that initializers give a value. */
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

export interface OnnxNode {
  readonly type: string;
  /** What errors call it. */
  readonly name: string;
  /** An empty name is an input that was left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, AttributeValue>;
}

export type AttributeValue = number | string | readonly number[] | Constant;

export interface OnnxValue {
  readonly name: string;
  /** `TensorProto.DataType`. */
  readonly elementType: number;
  /** Names are dimensions that the caller chooses; null where there is no shape. */
  readonly shape: readonly (number | string)[] | null;
}

/** Operators were looked through from opset 13 to 22; later ones may mean something else. */
const opsets = { first: 13, last: 22 };
const attributeType = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7 } as const;

/** Throws `UnreadableModelError`, and what `between` throws, which is called after each tensor. */
export async function onnxModel(bytes: Uint8Array, between?: Pause): Promise<OnnxModel> {
  const model = readMessage(bytes);
  // All but training and functions, which would say what operators of other domains mean.
  model.allow('The model', 1, 2, 3, 4, 5, 6, 7, 8, 14);
  const graph = model.message(7);
  if (graph === null) throw new UnreadableModelError('The ONNX file has no graph.');
  if (graph.has(15)) throw new UnreadableModelError('The ONNX file has sparse initializers.');
  // All but annotations of quantization: those are hints to whoever quantizes.
  graph.allow('The graph', 1, 2, 5, 10, 11, 12, 13, 16);
  const metadata = new Map(model.messages(14).map((pair) => [pair.string(1), pair.string(2)]));
  const versions = model.messages(8).filter((set) => isDefault(set.string(1)));
  const opset = versions.reduce((newest, set) => Math.max(newest, set.int(2)), 0);
  if (opset < opsets.first || opset > opsets.last)
    throw new UnreadableModelError(
      `The ONNX file is of opset ${opset}; ${opsets.first} to ${opsets.last} are known here.`,
    );
  const initializers = new Map<string, Constant>();
  for (const tensor of graph.messages(5)) {
    const name = tensor.string(8);
    if (initializers.has(name)) throw new UnreadableModelError(`The ONNX file has two initializers “${name}”.`);
    initializers.set(name, tensorOf(tensor, name));
    await between?.();
  }
  return {
    opset,
    metadata,
    nodes: graph.messages(1).map(nodeOf),
    initializers,
    inputs: graph
      .messages(11)
      .map(valueOf)
      .filter(({ name }) => !initializers.has(name)),
    outputs: graph.messages(12).map(valueOf),
  };
}

const isDefault = (domain: string) => domain === '' || domain === 'ai.onnx';

function nodeOf(node: Message): OnnxNode {
  const outputs = node.strings(2);
  const type = node.string(4);
  const name = outputs[0] ?? node.string(3);
  // Inputs, outputs, name, type, attributes, what is said of it, domain, metadata.
  node.allow(`“${name}”`, 1, 2, 3, 4, 5, 6, 7, 9);
  if (!isDefault(node.string(7)))
    throw new UnreadableModelError(`“${name}” of the ONNX file is of the domain ${node.string(7)}, not of ONNX’s own.`);
  const attributes = new Map<string, AttributeValue>();
  for (const attribute of node.messages(5)) {
    const key = attribute.string(1);
    if (attributes.has(key)) throw new UnreadableModelError(`“${name}” of the ONNX file has two attributes ${key}.`);
    attributes.set(key, attributeOf(attribute, name));
  }
  return { type, name, inputs: node.strings(1), outputs, attributes };
}

function attributeOf(attribute: Message, node: string): AttributeValue {
  const type = attribute.int(20);
  attribute.allow(`An attribute of “${node}”`, 1, 2, 3, 4, 5, 7, 8, 13, 20);
  switch (type) {
    case attributeType.float:
      return attribute.float(2);
    case attributeType.int:
      return attribute.int(3);
    case attributeType.string:
      return new TextDecoder().decode(attribute.bytes(4));
    case attributeType.tensor: {
      const tensor = attribute.message(5);
      if (tensor !== null) return tensorOf(tensor, node);
      break;
    }
    case attributeType.floats:
      return [...attribute.floats(7)];
    case attributeType.ints:
      return attribute.ints(8);
  }
  throw new UnreadableModelError(
    `The attribute ${attribute.string(1)} of “${node}” in the ONNX file is of type ${type}, which is not known here.`,
  );
}

function valueOf(value: Message): OnnxValue {
  const tensor = value.message(2)?.message(1) ?? null;
  const shape = tensor?.message(2) ?? null;
  return {
    name: value.string(1),
    elementType: tensor?.int(1) ?? 0,
    shape: shape && shape.messages(1).map((dimension) => (dimension.has(1) ? dimension.int(1) : dimension.string(2))),
  };
}
