import { exportGraph } from '../exportGraph.ts';
import { zipFolder } from '../folderZip.ts';
import { makerMatrix, makersOf } from '../makers.ts';
import { describe, metadataPairs } from '../metadata.ts';
import type { ExportedBytes, ExportFormat, ExportInput } from '../types.ts';
import { flag, shape, shapeOf, type } from './graphDef.ts';
import { graphWriter } from './graphWriter.ts';
import { writeNode } from './operations.ts';
import { readme } from './readme.ts';

const inputName = 'image';
const probabilitiesName = 'probabilities';
const makersName = 'maker_probabilities';

/**
 * A graph model for `tf.loadGraphModel`: `image` (float32 `[N,size,size,3]`, RGB, 0–255) in, `probabilities` `[N,classes]` out, with `makerOutput`
 * also `maker_probabilities` `[N,makers]`. The arithmetic is float32 whatever the weights lie in. Throws `Float16RangeError` where a weight
 * doesn't fit into float16.
 */
export async function exportTfjs(input: ExportInput): Promise<ExportedBytes> {
  const { name, labels, imageSize } = input;
  const { graph, weights } = exportGraph(input);
  if (labels.length !== graph.classes) throw new RangeError(`${labels.length} labels for ${graph.classes} classes`);
  const writer = graphWriter({ ...input, graph, weights });
  const [first, ...rest] = graph.nodes;
  if (first?.op !== 'input') throw new Error('A graph begins with its input.');
  const imageShape = [-1, imageSize, imageSize, first.channels];
  writer.emit('Placeholder', inputName, [], { dtype: type('DT_FLOAT'), shape: shape(imageShape) });
  writer.bind(first.name, inputName);
  for (const node of rest) writeNode(node, writer);

  const makers = input.makerOutput ? makersOf(labels) : null;
  if (makers !== null) {
    // A sum of probabilities is a product with ones.
    const members = makerMatrix(makers, labels.length, 'classes');
    const matrix = writer.floats(`${makersName}/members`, [labels.length, makers.length], members);
    const plain = { T: type('DT_FLOAT'), transpose_a: flag(false), transpose_b: flag(false) };
    writer.emit('MatMul', makersName, [writer.valueOf(probabilitiesName), matrix], plain);
  }

  const { nodes, weights: written } = writer.finish();
  const tensorInfo = (tensorName: string, sizes: readonly number[]) => ({
    [tensorName]: { name: `${tensorName}:0`, dtype: 'DT_FLOAT', tensorShape: shapeOf(sizes) },
  });
  const model = {
    format: 'graph-model',
    generatedBy: 'PacerID Studio',
    convertedBy: null,
    signature: {
      inputs: tensorInfo(inputName, imageShape),
      outputs: {
        ...tensorInfo(probabilitiesName, [-1, labels.length]),
        ...(makers && tensorInfo(makersName, [-1, makers.length])),
      },
    },
    userDefinedMetadata: {
      author: input.metadata.author,
      description: describe(input),
      version: input.metadata.version,
      ...metadataPairs(input),
    },
    // The numbers of TensorFlow 1.15's GraphDef, which knows all of these operations.
    modelTopology: { node: nodes, library: {}, versions: { producer: 134, minConsumer: 12 } },
    weightsManifest: written.manifest,
  };
  const names = { labels, ...(makers && { makers: makers.map((maker) => maker.name) }) };
  const folder = `${name}.tfjs`;
  const files = new Map<string, Uint8Array | string>([
    ['README.txt', readme(input)],
    ['labels.json', `${JSON.stringify(names, null, 2)}\n`],
    ['model.json', JSON.stringify(model)],
    ...written.files,
  ]);
  return { fileName: `${folder}.zip`, bytes: await zipFolder(folder, files) };
}

export const tfjs: ExportFormat = {
  id: 'tfjs',
  label: 'TensorFlow.js',
  summary: 'For web pages and Node: a graph model that tf.loadGraphModel opens.',
  extension: '.tfjs.zip',
  mediaType: 'application/zip',
  precisions: ['float32', 'float16'],
  weightStorages: ['full', 'linear'],
  makerOutput: true,
  write: exportTfjs,
};
