import { z } from '../../zod.ts';
import { described, type Described } from '../coreMLDescription.ts';
import { UnreadableModelError } from '../errors.ts';
import type { Pause } from '../pauses.ts';
import { readMessage } from '../protobuf.ts';
import type { ParsedModel } from '../types.ts';
import { readZip } from '../zip.ts';
import { readProgram, type Program } from './program.ts';
import { readWeightFile } from './weightFile.ts';

const fail = (what: string, cause?: unknown) =>
  new UnreadableModelError(`The Core ML package can’t be read: ${what}.`, cause);

/**
 * A zipped `.mlpackage` with an ML Program that classifies images, by the formats that coremltools publishes (Model.proto,
 * FeatureTypes.proto, MIL.proto, StorageFormat.hpp): whoever wrote it. Throws `UnreadableModelError` for what is broken and for what is not
 * known here.
 */
export async function readMlpackage(bytes: Uint8Array, between?: Pause): Promise<ParsedModel> {
  const files = await unpacked(bytes, between);
  const model = readMessage(files.model);
  const program = model.message(502);
  if (program === null) throw fail('its model is no ML Program');
  model.allow('The model', 1, 2, 502);
  const { classify, ...read } = await readProgram(program, readWeightFile(files.weights), between);
  const description = described(model.message(2), fail);
  checkOutputs(description, classify, read.outputs);

  return {
    input: checkedInput(description.input, read.input),
    constants: read.constants,
    operations: read.operations,
    probabilities: classify.probabilities,
    labels: classify.labels,
    makers: description.makers && { probabilities: description.makers.output, names: description.makers.names },
    precision: read.operations.some(({ rounding }) => rounding === 'float16') ? 'float16' : 'float32',
    eightBit: read.eightBit,
  };
}

/** The two files that its manifest names. */
async function unpacked(bytes: Uint8Array, between?: Pause): Promise<{ model: Uint8Array; weights: Uint8Array }> {
  const broken = (why: string, cause?: unknown) => fail(`it is no zip file, or a broken one: ${why}`, cause);
  const files = await readZip(bytes, broken, between);
  const roots = [...files.keys()].flatMap((path) => /^([^/]+\.mlpackage\/)Manifest\.json$/.exec(path)?.[1] ?? []);
  const root = roots[0];
  if (root === undefined || roots.length > 1) throw fail(`it holds ${roots.length} packages, not one`);
  const file = (path: string) => {
    const content = files.get(`${root}${path}`);
    if (content === undefined) throw fail(`“${path}” is missing`);
    return content;
  };

  const manifest = manifestOf(new TextDecoder().decode(file('Manifest.json')));
  if (manifest.fileFormatVersion !== '1.0.0')
    throw fail(`its manifest has format version ${JSON.stringify(manifest.fileFormatVersion)}`);
  const paths = Object.entries(manifest.itemInfoEntries).map(([id, { path }]) => ({ id, path }));
  const rootPath = paths.find(({ id }) => id === manifest.rootModelIdentifier)?.path;
  const others = paths.filter(({ id }) => id !== manifest.rootModelIdentifier).map(({ path }) => path);
  if (rootPath?.endsWith('/model.mlmodel') !== true) throw fail('its manifest does not name the root model');
  // `@model_path`, from which the program names its weights, is the folder of the model.
  const folder = rootPath.slice(0, -'model.mlmodel'.length);
  if (others.length !== 1 || others[0] !== `${folder}weights`)
    throw fail(`its manifest names ${others.join(', ') || 'nothing'} beside the model, not the weights alone`);
  return { model: file(`Data/${rootPath}`), weights: file(`Data/${folder}weights/weight.bin`) };
}

const manifestSchema = z.object({
  fileFormatVersion: z.string(),
  rootModelIdentifier: z.string(),
  itemInfoEntries: z.record(z.string(), z.object({ path: z.string() })),
});

function manifestOf(json: string): z.infer<typeof manifestSchema> {
  try {
    return manifestSchema.parse(JSON.parse(json));
  } catch (error) {
    throw fail('its manifest is not what the format says', error);
  }
}

/** The image that is described has to be the one that the program takes. */
function checkedInput(image: ParsedModel['input'], input: Program['input']): ParsedModel['input'] {
  const { name, width, height } = image;
  if (name !== input.name || input.shape.join() !== [1, 3, height, width].join())
    throw fail(
      `its image, ${width} × ${height}, is not the program’s input “${input.name}”, [${input.shape.join(', ')}]`,
    );
  return image;
}

/** What the description says of the outputs has to be what the program gives. */
function checkOutputs(said: Described, classify: Program['classify'], given: readonly string[]): void {
  const [label, probabilities] = classify.outputs as [string?, string?];
  if (label === undefined || probabilities === undefined) throw fail('“classify” has not two outputs');
  if (said.label !== label) throw fail(`“${label}” is not described as the predicted class`);
  if (said.probabilities !== probabilities) throw fail(`“${probabilities}” is not described as the probabilities`);
  const missing = said.outputs.find((name) => !given.includes(name));
  if (missing !== undefined) throw fail(`the program does not give its output “${missing}”`);
  if (given.length !== said.outputs.length)
    throw fail(`the program gives ${given.length} outputs, and ${said.outputs.length} are described`);
}
