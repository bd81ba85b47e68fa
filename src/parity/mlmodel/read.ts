import { described } from '../coreMLDescription.ts';
import { UnreadableModelError } from '../errors.ts';
import type { Pause } from '../pauses.ts';
import { readMessage, type Message } from '../protobuf.ts';
import type { ParsedModel } from '../types.ts';
import { Network, type Value } from './layer.ts';
import { layers } from './layers.ts';

const fail = (what: string, cause?: unknown) =>
  new UnreadableModelError(`The Core ML model file can’t be read: ${what}.`, cause);

/** Of NeuralNetworkLayer: name, inputs, outputs, ranks of both (which say nothing new), whether it may be trained on. */
const aboutLayer = [1, 2, 3, 4, 5, 10];

/**
 * An `.mlmodel` with a neural network that classifies images, by Model.proto, FeatureTypes.proto and NeuralNetwork.proto of
 * apple/coremltools: whoever wrote it. Values `[Sequence, Batch, C, H, W]`, as they were up to iOS 12, are taken as `[1,C,H,W]`.
 *
 * A neural network's values have no type: the CPU computes in float32 and the GPU and the Neural Engine in float16, whatever the weights
 * lie in. What is read here rounds to float16 where a weight lies in float16. Throws `UnreadableModelError`.
 */
export async function readMlmodel(bytes: Uint8Array, between?: Pause): Promise<ParsedModel> {
  const model = readMessage(bytes);
  const classifier = model.message(403);
  if (classifier === null) throw fail('it is no neural network that classifies');
  model.allow('The model', 1, 2, 403);
  const { input, makers } = described(model.message(2), fail);
  // 5 and 6 say on how many axes inputs lie, 10 how it may be trained further.
  classifier.allow('The classifier', 1, 2, 5, 6, 10, 100, 200);
  const labels = classifier.message(100)?.strings(1);
  if (labels === undefined) throw fail('its classes have no names');

  const network = new Network();
  network.bind(input.name, preprocessed(classifier, network, input));
  for (const layer of classifier.messages(1)) {
    readLayer(layer, network);
    await between?.();
  }
  const output = (name: string) => flatOutput(network, name);
  const probabilities = output(classifier.string(200));
  const makersValue = makers && { names: makers.names, probabilities: output(makers.output) };

  const precision = network.storages.has('float16') ? 'float16' : 'float32';
  return {
    input,
    constants: network.constants,
    operations: network.operations.map((operation) => ({
      ...operation,
      rounding: operation.name === productOf(input.name) ? 'float32' : precision,
    })),
    probabilities,
    labels,
    makers: makersValue,
    precision,
    eightBit: network.storages.has('8 bits'),
  };
}

/** A pixel is scaled and shifted before it becomes a value of the network: the product alone is never rounded to float16. */
const productOf = (image: string) => `${image}/product`;

/** `NeuralNetworkImageScaler`: one scale, a bias a colour, in the order of the image's channels. */
function preprocessed(classifier: Message, network: Network, input: ParsedModel['input']): Value {
  const steps = classifier.messages(2);
  const [step] = steps;
  if (step === undefined) return { name: input.name, rank: 4 };
  const scaler = step.message(10);
  if (steps.length > 1 || scaler === null || step.string(1) !== input.name)
    throw fail('its preprocessing is no scaler of its image');
  step.allow('The preprocessing', 1, 10);
  scaler.allow('The scaler', 10, 20, 21, 22);
  const [blue, green, red] = [20, 21, 22].map((field) => scaler.float(field)) as [number, number, number];
  const name = `${input.name}/scaled`;
  const product = productOf(input.name);
  const biases = input.colors === 'RGB' ? [red, green, blue] : [blue, green, red];
  network.operations.push(
    {
      kind: 'mul',
      name: product,
      x: input.name,
      y: network.constant(`${input.name}/channelScale`, [1], Float32Array.of(scaler.float(10))),
    },
    {
      kind: 'add',
      name,
      x: product,
      y: network.constant(`${input.name}/bias`, [3, 1, 1], Float32Array.from(biases)),
    },
  );
  return { name, rank: 4 };
}

function readLayer(message: Message, network: Network): void {
  const name = message.string(1);
  const [kind, ...more] = message.fields.filter((field) => !aboutLayer.includes(field));
  const type = kind === undefined ? undefined : layers[kind];
  if (kind === undefined || more.length > 0 || type === undefined)
    throw fail(`the layer “${name}” is of a type that is not known here (${[kind, ...more].join(', ')})`);
  const inputs = message.strings(2).map((input) => {
    const value = network.value(input);
    if (value === undefined) throw fail(`the layer “${name}” reads “${input}”, which no layer before it gives`);
    return value;
  });
  const outputs = message.strings(3);
  if (outputs.length !== 1) throw fail(`the layer “${name}” has ${outputs.length} outputs`);
  const parameters = message.message(kind)!;
  parameters.allow(`“${name}”`, ...type.fields);
  network.bind(outputs[0]!, type.read(network.layer(name, parameters, inputs, outputs[0]!)));
}

/** A value as `[1, n]`, whatever axes of one it has; the name of that. */
function flatOutput(network: Network, name: string): string {
  const value = network.value(name);
  if (value === undefined) throw fail(`no layer gives “${name}”`);
  const flat = `${name}/flat`;
  network.operations.push({ kind: 'reshape', name: flat, x: value.name, shape: [1, -1] });
  return flat;
}
