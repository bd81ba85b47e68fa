import JSZip from 'jszip';
import { UnreadableModelError } from '../errors.ts';
import { readMessage, type Message } from '../protobuf.ts';
import type { ParsedModel } from '../types.ts';
import { readProgram, type Program } from './program.ts';
import { readWeightFile } from './weightFile.ts';

const fail = (what: string, cause?: unknown) =>
  new UnreadableModelError(`The Core ML package can’t be read: ${what}.`, cause);

/**
 * A zipped `.mlpackage` with an ML Program that classifies images, by the formats that coremltools publishes (Model.proto,
 * FeatureTypes.proto, MIL.proto, StorageFormat.hpp): whoever wrote it. Throws `UnreadableModelError` for what is broken and for what is not
 * known here.
 */
export async function readMlpackage(bytes: Uint8Array): Promise<ParsedModel> {
  const files = await unpacked(bytes);
  const model = readMessage(files.model);
  const program = model.message(502);
  if (program === null) throw fail('its model is no ML Program');
  const { classify, ...read } = readProgram(program, readWeightFile(files.weights));
  const description = model.message(2);
  if (description === null) throw fail('it does not say what goes in and comes out');

  return {
    input: imageOf(description, read.input),
    constants: read.constants,
    operations: read.operations,
    probabilities: classify.probabilities,
    labels: classify.labels,
    makers: outputsOf(description, classify, read.outputs),
    precision: read.operations.some(({ rounding }) => rounding === 'float16') ? 'float16' : 'float32',
    eightBit: read.eightBit,
  };
}

/** The two files that its manifest names. */
async function unpacked(bytes: Uint8Array): Promise<{ model: Uint8Array; weights: Uint8Array }> {
  let zip: JSZip;
  try {
    zip = await JSZip.loadAsync(bytes, { checkCRC32: true });
  } catch (error) {
    throw fail('it is no zip file, or a broken one', error);
  }
  const roots = Object.keys(zip.files).flatMap((path) => /^([^/]+\.mlpackage\/)Manifest\.json$/.exec(path)?.[1] ?? []);
  const root = roots[0];
  if (root === undefined || roots.length > 1) throw fail(`it holds ${roots.length} packages, not one`);
  const file = (path: string) => {
    const entry = zip.file(`${root}${path}`);
    if (entry === null) throw fail(`“${path}” is missing`);
    return entry.async('uint8array');
  };

  const manifest = parsed(new TextDecoder().decode(await file('Manifest.json')), 'Manifest.json') as Manifest;
  if (manifest.fileFormatVersion !== '1.0.0')
    throw fail(`its manifest has format version ${JSON.stringify(manifest.fileFormatVersion)}`);
  const paths = Object.entries(manifest.itemInfoEntries ?? {}).map(([id, item]) => ({ id, path: item.path }));
  const rootPath = paths.find(({ id }) => id === manifest.rootModelIdentifier)?.path;
  const others = paths.filter(({ id }) => id !== manifest.rootModelIdentifier).map(({ path }) => path);
  if (typeof rootPath !== 'string' || !rootPath.endsWith('/model.mlmodel'))
    throw fail('its manifest does not name the root model');
  // `@model_path`, from which the program names its weights, is the folder of the model.
  const folder = rootPath.slice(0, -'model.mlmodel'.length);
  if (others.length !== 1 || others[0] !== `${folder}weights`)
    throw fail(`its manifest names ${others.join(', ') || 'nothing'} beside the model, not the weights alone`);
  return { model: await file(`Data/${rootPath}`), weights: await file(`Data/${folder}weights/weight.bin`) };
}

function parsed(json: string, what: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw fail(`${what} is no JSON`, error);
  }
}

interface Manifest {
  readonly fileFormatVersion?: unknown;
  readonly rootModelIdentifier?: unknown;
  readonly itemInfoEntries?: Readonly<Record<string, { readonly path?: unknown }>>;
}

/** Field numbers of FeatureType. */
const STRING = 3;
const IMAGE = 4;
const MULTI_ARRAY = 5;
const DICTIONARY = 6;

function imageOf(description: Message, input: Program['input']): ParsedModel['input'] {
  const inputs = description.messages(1);
  const image = inputs[0]?.message(3)?.message(IMAGE) ?? null;
  if (inputs.length !== 1 || image === null) throw fail('its input is not one image');
  if (image.has(21) || image.has(31)) throw fail('its image may have several sizes');
  const colors = ({ 20: 'RGB', 30: 'BGR' } as const)[image.int(3)];
  if (colors === undefined) throw fail(`its image has colour space ${image.int(3)}, not RGB or BGR`);
  const [width, height] = [image.int(1), image.int(2)];
  if (inputs[0]!.string(1) !== input.name || input.shape.join() !== [1, 3, height, width].join())
    throw fail(
      `its image, ${width} × ${height}, is not the program’s input “${input.name}”, [${input.shape.join(', ')}]`,
    );
  return { name: input.name, width, height, colors };
}

/** What the description says of the outputs has to be what the program gives; another output is the makers'. */
function outputsOf(
  description: Message,
  classify: Program['classify'],
  given: readonly string[],
): ParsedModel['makers'] {
  const outputs = new Map(description.messages(10).map((feature) => [feature.string(1), feature.message(3)]));
  const [label, probabilities] = classify.outputs as [string?, string?];
  if (label === undefined || probabilities === undefined) throw fail('“classify” has not two outputs');
  if (description.string(11) !== label || outputs.get(label)?.has(STRING) !== true)
    throw fail(`“${label}” is not described as the predicted class`);
  if (description.string(12) !== probabilities || outputs.get(probabilities)?.has(DICTIONARY) !== true)
    throw fail(`“${probabilities}” is not described as the probabilities`);
  const missing = [...outputs.keys()].find((name) => !given.includes(name));
  if (missing !== undefined) throw fail(`the program does not give its output “${missing}”`);
  if (given.length !== outputs.size)
    throw fail(`the program gives ${given.length} outputs, and ${outputs.size} are described`);

  const others = [...outputs.keys()].filter((name) => name !== label && name !== probabilities);
  const named = (description.message(100)?.messages(100) ?? []).find((pair) => pair.string(1) === 'pacerid.makers');
  if (others.length === 0 && named === undefined) return null;
  const [makers] = others;
  if (makers === undefined || others.length > 1 || outputs.get(makers)?.has(MULTI_ARRAY) !== true)
    throw fail(`it has the outputs ${[...outputs.keys()].join(', ')}`);
  if (named === undefined) throw fail(`nothing says what the numbers of “${makers}” are`);
  const names = parsed(named.string(2), 'its list of makers');
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string'))
    throw fail('its list of makers is no list of names');
  return { probabilities: makers, names };
}
