import type { Message } from './protobuf.ts';
import type { ParsedModel } from './types.ts';

/** Field numbers of FeatureType. */
const STRING = 3;
const IMAGE = 4;
const MULTI_ARRAY = 5;
const DICTIONARY = 6;

/** What a Core ML model says of its input and outputs. */
export interface Described {
  readonly input: ParsedModel['input'];
  /** Names of outputs: the predicted class, its probabilities, and all. */
  readonly label: string;
  readonly probabilities: string;
  readonly outputs: readonly string[];
  /** An output beside these two is the makers', whose names lie in the metadata. */
  readonly makers: { readonly output: string; readonly names: readonly string[] } | null;
}

/** `ModelDescription` of Model.proto, of an image classifier, in either form of Core ML. `fail`: the error that says of which file it is. */
export function described(description: Message | null, fail: (what: string, cause?: unknown) => Error): Described {
  if (description === null) throw fail('it does not say what goes in and comes out');
  description.allow('The description', 1, 10, 11, 12, 100);
  const outputs = new Map(description.messages(10).map((feature) => [feature.string(1), feature.message(3)]));
  const [label, probabilities] = [description.string(11), description.string(12)];
  if (outputs.get(label)?.has(STRING) !== true) throw fail(`“${label}” is not described as the predicted class`);
  if (outputs.get(probabilities)?.has(DICTIONARY) !== true)
    throw fail(`“${probabilities}” is not described as the probabilities`);

  const others = [...outputs.keys()].filter((name) => name !== label && name !== probabilities);
  const pairs = description.message(100)?.messages(100) ?? [];
  const named = pairs.find((pair) => pair.string(1) === 'pacerid.makers')?.string(2);
  const [output] = others;
  const about = { input: imageOf(description, fail), label, probabilities, outputs: [...outputs.keys()] };
  if (output === undefined && named === undefined) return { ...about, makers: null };
  if (output === undefined || others.length > 1 || outputs.get(output)?.has(MULTI_ARRAY) !== true)
    throw fail(`it has the outputs ${about.outputs.join(', ')}`);
  if (named === undefined) throw fail(`nothing says what the numbers of “${output}” are`);
  let names: unknown;
  try {
    names = JSON.parse(named);
  } catch (error) {
    throw fail('its list of makers is no JSON', error);
  }
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string'))
    throw fail('its list of makers is no list of names');
  return { ...about, makers: { output, names } };
}

function imageOf(description: Message, fail: (what: string) => Error): ParsedModel['input'] {
  const inputs = description.messages(1);
  const type = inputs[0]?.message(3) ?? null;
  const image = type?.message(IMAGE) ?? null;
  if (inputs.length !== 1 || type === null || image === null) throw fail('its input is not one image');
  type.allow('The input', IMAGE);
  if (image.has(21) || image.has(31)) throw fail('its image may have several sizes');
  image.allow('The image', 1, 2, 3);
  const colors = ({ 20: 'RGB', 30: 'BGR' } as const)[image.int(3)];
  if (colors === undefined) throw fail(`its image has colour space ${image.int(3)}, not RGB or BGR`);
  return { name: inputs[0]!.string(1), width: image.int(1), height: image.int(2), colors };
}
