import { UnreadableModelError } from '../errors.ts';
import type { Pause } from '../pauses.ts';
import type { ParsedModel } from '../types.ts';
import { readModelFiles, type ModelFiles } from './modelFiles.ts';
import { operations } from './operations.ts';
import { walk, type Reading, type Value } from './reading.ts';

/**
 * A TensorFlow.js graph model in a zip, channels first and an image at a time; also one that somebody else made of the same operations. What the
 * outputs stand for is in labels.json beside the model; without it the labels are numbers. Throws `UnreadableModelError`, which names what isn't
 * known.
 */
export async function readTfjs(bytes: Uint8Array, between?: Pause): Promise<ParsedModel> {
  const files = await readModelFiles(bytes, between);
  let image: { name: string; height: number; width: number } | null = null;

  function placeholder({ node, attributes, fail }: Reading): Value {
    if (image !== null) return fail(`the model has two inputs, ${image.name} and ${node.name}`);
    const shape = attributes.shape('shape') ?? fail('its shape isn’t said');
    const [count, height, width, channels] = shape as [number, number, number, number];
    if (shape.length !== 4 || (count !== -1 && count !== 1) || height < 1 || width < 1 || channels !== 3) {
      return fail(`it isn’t an RGB image: ${shape.join(' × ')}`);
    }
    image = { name: node.name, height, width };
    return { name: node.name, shape: [1, height, width, 3] };
  }

  const read = (reading: Reading): Value => {
    const { op } = reading.node;
    if (op === 'Placeholder') return placeholder(reading);
    const known = Object.hasOwn(operations, op) ? operations[op] : undefined;
    return known === undefined ? reading.fail('it isn’t known here') : known(reading);
  };
  const graph = walk(files, read, between);

  const { probabilities, makers } = outputsOf(files);
  const classes = rowOf(await graph.valueOf(probabilities), files.labels?.labels, 'labels');
  const names = makers === null ? null : rowOf(await graph.valueOf(makers), files.labels?.makers, 'makers');
  if (names === null && files.labels?.makers !== undefined)
    throw new UnreadableModelError('labels.json of the TensorFlow.js model names makers, and no output gives them.');
  // Only what the outputs need was read: the image is, or they don't depend on it.
  const input = image as { name: string; height: number; width: number } | null;
  if (input === null) throw new UnreadableModelError('What the TensorFlow.js model gives doesn’t depend on an image.');
  return {
    input: { ...input, colors: 'RGB' },
    constants: graph.constants,
    operations: graph.operations,
    probabilities: classes.name,
    labels: classes.names,
    makers: names && { probabilities: names.name, names: names.names },
    precision: graph.storage.has('float16') ? 'float16' : 'float32',
    eightBit: graph.storage.has('eightBit'),
  };
}

/** By their names in the signature, or what alone is there; without a signature, the one node that no other reads. */
function outputsOf({ nodes, outputs }: ModelFiles): { probabilities: string; makers: string | null } {
  const read = new Set(nodes.flatMap(({ input = [] }) => input.map((name) => name.replace(/^\^|:\d+$/g, ''))));
  const all =
    outputs.size > 0
      ? outputs
      : new Map(
          nodes
            .filter(({ name, op }) => !read.has(name) && op !== 'Const' && op !== 'Placeholder')
            .map(({ name }) => [name, name]),
        );
  const makers = all.get('maker_probabilities') ?? null;
  const others = [...all.keys()].filter((key) => key !== 'maker_probabilities');
  const [key] = others;
  if (key === undefined || others.length > 1)
    throw new UnreadableModelError(
      `The TensorFlow.js model has ${others.length} outputs beside the makers’, where the probabilities alone belong: ${others.join(', ')}.`,
    );
  const probabilities = all.get(key)!;
  return { probabilities, makers };
}

/** Classes without names: what is larger is no classifier's. */
const MOST_NUMBERED = 100_000;

/** A row `[1, n]` and what its n numbers stand for. */
function rowOf(
  { name, shape, border }: Value,
  given: readonly string[] | undefined,
  what: string,
): { readonly name: string; readonly names: readonly string[] } {
  const count = shape[1] ?? 0;
  if (shape.length !== 2 || border !== undefined) {
    throw new UnreadableModelError(`The output ${name} of the TensorFlow.js model isn’t a row of numbers.`);
  }
  if (given === undefined && count > MOST_NUMBERED)
    throw new UnreadableModelError(
      `The output ${name} of the TensorFlow.js model is of ${count} numbers without labels.`,
    );
  const names = given ?? Array.from({ length: count }, (_, i) => String(i));
  if (names.length !== count) {
    throw new UnreadableModelError(`labels.json has ${names.length} ${what} for the ${count} numbers of ${name}.`);
  }
  return { name, names };
}
