import { UnreadableModelError } from '../errors.ts';
import type { Pause } from '../pauses.ts';
import type { Operation, ParsedModel, Rounding, Tensor } from '../types.ts';
import { onnxModel, type OnnxModel, type OnnxNode } from './model.ts';
import { operationsOf, type Scope } from './operators.ts';
import { cast, dequantized, elementType, gathered, type Constant } from './tensors.ts';

/**
 * An image classifier in one ONNX file, from onnx/onnx.proto3 and the operators' specification: ours, and what torch.onnx exports of such
 * networks, given the names of its classes as `pacerid.classes` (JSON). Where there are several outputs, `probabilities` and
 * `maker_probabilities` are the ones. Throws `UnreadableModelError`.
 */
export async function readOnnx(bytes: Uint8Array, between?: Pause): Promise<ParsedModel> {
  const model = await onnxModel(bytes, between);
  const input = inputOf(model);
  const { operations, constants, eightBit } = await graphOf(model, input.name, between);
  const outputs = model.outputs.map(({ name }) => name);
  const probabilities = outputs.length === 1 ? outputs[0]! : outputs.find((name) => name === 'probabilities');
  if (probabilities === undefined)
    throw new UnreadableModelError(`The ONNX file has the outputs ${outputs.join(', ')}, none called probabilities.`);
  const makers = outputs.find((name) => name === 'maker_probabilities' && name !== probabilities);
  const other = outputs.find((name) => name !== probabilities && name !== makers);
  if (other !== undefined)
    throw new UnreadableModelError(`The ONNX file has an output “${other}”, which is not known here.`);
  if (makers === undefined && model.metadata.has('pacerid.makers'))
    throw new UnreadableModelError('The ONNX file names makers, and no output gives them.');
  return {
    input,
    constants,
    operations,
    probabilities,
    labels: namesOf(model, 'pacerid.classes'),
    makers: makers === undefined ? null : { probabilities: makers, names: namesOf(model, 'pacerid.makers') },
    precision: operations.some(({ rounding }) => rounding === 'float16') ? 'float16' : 'float32',
    eightBit,
  };
}

/** The order of channels: onnx/docs/MetadataProps.md, whose keys and values are case-insensitive; RGB where it isn't said. */
function inputOf({ inputs, metadata }: OnnxModel): ParsedModel['input'] {
  const [image, ...others] = inputs;
  if (image === undefined || others.length > 0)
    throw new UnreadableModelError(`The ONNX file has ${inputs.length} inputs, where one image belongs.`);
  const [batch, channels, height, width, ...more] = image.shape ?? [];
  if (
    elementType(image.elementType, image.name) !== 'float32' ||
    (typeof batch === 'number' && batch !== 1) ||
    channels !== 3 ||
    typeof height !== 'number' ||
    typeof width !== 'number' ||
    more.length > 0
  )
    throw new UnreadableModelError(
      `The input “${image.name}” of the ONNX file is [${(image.shape ?? []).join(', ')}], not a float32 image [N, 3, height, width].`,
    );
  const said = new Map([...metadata].map(([key, value]) => [key.toLowerCase(), value.toLowerCase()]));
  const [format, range] = [said.get('image.bitmappixelformat') ?? 'rgb8', said.get('image.nominalpixelrange')];
  if ((format !== 'rgb8' && format !== 'bgr8') || (range !== undefined && range !== 'nominalrange_0_255'))
    throw new UnreadableModelError(`The ONNX file takes images of ${format}, ${range ?? '0 to 255'}.`);
  return { name: image.name, width, height, colors: format === 'rgb8' ? 'RGB' : 'BGR' };
}

function namesOf({ metadata }: OnnxModel, key: string): readonly string[] {
  const text = metadata.get(key);
  if (text === undefined) throw new UnreadableModelError(`The ONNX file has no ${key}: it doesn’t say what is what.`);
  let names: unknown;
  try {
    names = JSON.parse(text);
  } catch (error) {
    throw new UnreadableModelError(`${key} of the ONNX file is no JSON.`, error);
  }
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string'))
    throw new UnreadableModelError(`${key} of the ONNX file is no list of names.`);
  return names;
}

async function graphOf(
  model: OnnxModel,
  inputName: string,
  between?: Pause,
): Promise<{ operations: readonly Operation[]; constants: ReadonlyMap<string, Tensor>; eightBit: boolean }> {
  const constants = new Map(model.initializers);
  const types = new Map<string, Rounding>([[inputName, 'float32']]);
  const taken = new Set([...constants.keys(), ...types.keys(), ...model.nodes.flatMap(({ outputs }) => outputs)]);
  const operations: Operation[] = [];
  let eightBit = false;
  const scope: Scope = {
    opset: model.opset,
    typeOf(name) {
      const type = types.get(name) ?? constants.get(name)?.type;
      if (type === undefined) throw new UnreadableModelError(`Nothing in the ONNX file is called “${name}”.`);
      if (type !== 'float32' && type !== 'float16')
        throw new UnreadableModelError(`“${name}” of the ONNX file is of ${type}, where numbers belong.`);
      return type;
    },
    constant: (name) => constants.get(name) ?? null,
    add(hint, constant) {
      const name = scope.unique(hint);
      constants.set(name, constant);
      return name;
    },
    unique(hint) {
      let name = hint;
      while (taken.has(name)) name += '_';
      taken.add(name);
      return name;
    },
  };

  for (const node of model.nodes) {
    await between?.();
    const known = constantOf(node, constants);
    const [output = ''] = node.outputs;
    if (types.has(output) || constants.has(output))
      throw new UnreadableModelError(`Two things of the ONNX file are called “${output}”.`);
    if (known !== null) {
      constants.set(output, known);
      eightBit ||= node.type === 'DequantizeLinear' || node.type === 'Gather';
      continue;
    }
    for (const operation of operationsOf(node, scope)) {
      operations.push(operation);
      types.set(operation.name, operation.rounding);
    }
  }
  const floats = [...constants].flatMap(([name, { type, shape, data }]): [string, Tensor][] =>
    (type === 'float32' || type === 'float16') && data instanceof Float32Array ? [[name, { shape, data }]] : [],
  );
  return { operations, constants: new Map(floats), eightBit };
}

/** Of operators that make constants of constants. */
const mostInputs: Readonly<Record<string, number>> = { Identity: 1, Cast: 1, DequantizeLinear: 3, Gather: 2 };

/** What a node makes of constants alone, so that it is one itself; null for all other nodes. */
function constantOf({ type, name, inputs, attributes }: OnnxNode, constants: ReadonlyMap<string, Constant>) {
  const given = inputs.map((input) => (input === '' ? null : (constants.get(input) ?? null)));
  const [first, second, third = null] = given;
  const all = inputs.length > 0 && inputs.every((input, index) => input === '' || given[index] !== null);
  const only = (...keys: readonly string[]) => {
    const other = [...attributes.keys()].find((key) => !keys.includes(key));
    if (other !== undefined)
      throw new UnreadableModelError(`“${name}” of the ONNX file has an attribute ${other}, which is not known here.`);
  };
  if (type === 'Constant') {
    const value = attributes.get('value');
    only('value');
    if (value === undefined || typeof value !== 'object' || !('data' in value))
      throw new UnreadableModelError(`The Constant “${name}” of the ONNX file holds no tensor.`);
    return value;
  }
  if (!all || !first) return null;
  const most = mostInputs[type];
  if (most !== undefined && inputs.length > most)
    throw new UnreadableModelError(`“${name}” of the ONNX file has ${inputs.length} inputs.`);
  const number = (key: string, otherwise: number) => {
    const value = attributes.get(key) ?? otherwise;
    if (typeof value !== 'number') throw new UnreadableModelError(`${key} of “${name}” in the ONNX file is no number.`);
    return value;
  };
  switch (type) {
    case 'Identity':
      only();
      return first;
    case 'Cast':
      only('to');
      return cast(first, elementType(number('to', 0), name), name);
    case 'DequantizeLinear':
      only('axis');
      return second ? dequantized(first, second, third, number('axis', 1), name) : null;
    case 'Gather':
      only('axis');
      return second && number('axis', 0) === 0 ? gathered(first, second, name) : null;
    default:
      return null;
  }
}
