import { z } from '../../zod.ts';
import { UnreadableModelError } from '../errors.ts';
import type { Pause } from '../pauses.ts';
import { readZip } from '../zip.ts';
import { readWeights, weightsManifest, type StoredTensor } from './weights.ts';

const tensorInfo = z.object({ name: z.string() });
const signature = z.object({
  inputs: z.record(z.string(), tensorInfo).optional(),
  outputs: z.record(z.string(), tensorInfo).optional(),
});
const node = z.strictObject({
  name: z.string(),
  op: z.string(),
  input: z.array(z.string()).optional(),
  attr: z.record(z.string(), z.unknown()).nullish(),
  // Where to compute, and where it comes from.
  device: z.string().optional(),
  experimentalDebugInfo: z.unknown().optional(),
});
export type Node = z.infer<typeof node>;

/**
 * model.json of a graph model: tfjs-core/src/io/types.ts, `ModelJSON`, whose topology is a GraphDef in proto3's JSON form
 * (tfjs-converter/src/data/compiled_api.ts).
 */
const modelSchema = z.object({
  format: z.string().optional(),
  signature: signature.nullish(),
  userDefinedMetadata: z.object({ signature: signature.nullish() }).nullish(),
  modelTopology: z.object({ node: z.array(node) }),
  weightsManifest,
});

/** Beside the model, and no part of the format: what its outputs stand for. */
const labelsSchema = z.object({ labels: z.array(z.string()), makers: z.array(z.string()).optional() });

export interface ModelFiles {
  readonly nodes: readonly Node[];
  /** Names of the graph's outputs, by what the signature calls them; empty where there is no signature. */
  readonly outputs: ReadonlyMap<string, string>;
  readonly weights: ReadonlyMap<string, StoredTensor>;
  readonly labels: { readonly labels: readonly string[]; readonly makers?: readonly string[] | undefined } | null;
}

/** A zip with a model.json at its top or in a folder, and beside it what that names. Throws `UnreadableModelError`. */
export async function readModelFiles(bytes: Uint8Array, between?: Pause): Promise<ModelFiles> {
  const broken = (why: string, cause?: unknown) =>
    new UnreadableModelError(`The TensorFlow.js model is no zip, or a broken one: ${why}.`, cause);
  const files = await readZip(bytes, broken, between);
  const found = [...files.keys()].filter((path) => /(^|\/)model\.json$/.test(path));
  const [path] = found;
  if (path === undefined || found.length > 1) {
    throw new UnreadableModelError(`There are ${found.length} files named model.json in the zip, in place of one.`);
  }
  const folder = path.slice(0, -'model.json'.length);
  const file = (name: string): Uint8Array => {
    const content = files.get(`${folder}${name}`);
    if (content === undefined)
      throw new UnreadableModelError(`The TensorFlow.js model names ${name}, which isn’t there.`);
    return content;
  };

  const model = parsed(modelSchema, 'model.json', file('model.json'));
  if (model.format !== undefined && model.format !== 'graph-model') {
    throw new UnreadableModelError(`The TensorFlow.js model is a “${model.format}”, not a graph-model.`);
  }
  const hasLabels = files.has(`${folder}labels.json`);
  const used = model.signature ?? model.userDefinedMetadata?.signature;
  return {
    nodes: model.modelTopology.node,
    outputs: new Map(Object.entries(used?.outputs ?? {}).map(([key, { name }]) => [key, name])),
    weights: await readWeights(model.weightsManifest, file, between),
    labels: hasLabels ? parsed(labelsSchema, 'labels.json', file('labels.json')) : null,
  };
}

function parsed<Schema extends z.ZodType>(schema: Schema, name: string, bytes: Uint8Array): z.infer<Schema> {
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (error) {
    const [issue] = error instanceof z.ZodError ? error.issues : [];
    const where = issue === undefined ? '' : ` (${[...issue.path, issue.message].join(': ')})`;
    throw new UnreadableModelError(`${name} of the TensorFlow.js model isn’t what the format says${where}.`, error);
  }
}
