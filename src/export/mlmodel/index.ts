import { create, toBinary } from '@bufbuild/protobuf';
import type { ChannelAffineNode } from '../../graph/types.ts';
import { modelDescription } from '../coreml/description.ts';
import { ModelSchema, type ModelDescription } from '../coreml/generated/Model_pb.ts';
import { inputName, makersName, probabilitiesName } from '../coreml/milProgram.ts';
import { exportGraph } from '../exportGraph.ts';
import { makerMatrix, makersOf } from '../makers.ts';
import type { ExportedBytes, ExportFormat, ExportInput } from '../types.ts';
import { splitPreprocessing, type ImageScaler } from './imageScaler.ts';
import { layersOf, type LayerInit } from './layers.ts';
import { weightWriter, type WeightWriter } from './weights.ts';

/**
 * An image classifier in Core ML's form of before 2021, a neural network: `image` (RGB, 0–255) in, `classLabel` and `classLabel_probs`
 * out, with `makerOutput` also `maker_probs`, a number a maker in the order of `pacerid.makers`; preprocessing and softmax inside,
 * batch norms folded. Its values have no type: the CPU computes in float32 whatever the weights lie in, the GPU and the Neural Engine
 * in float16 (coremltools' guide, Typed Execution). Throws `Float16RangeError` where a weight doesn't fit into float16.
 */
export async function exportNeuralNetwork(input: ExportInput): Promise<ExportedBytes> {
  const { labels, precision, weightStorage } = input;
  const exported = exportGraph(input);
  const [image, preprocessing, ...rest] = exported.graph.nodes;
  const last = rest.at(-1);
  if (image?.op !== 'input' || preprocessing?.op !== 'channelAffine' || last?.op !== 'softmax')
    throw new Error('An export graph goes from an input and preprocessing to a softmax.');
  if (labels.length !== exported.graph.classes)
    throw new RangeError(`${labels.length} labels for ${exported.graph.classes} classes`);

  const { scaler, weights } = splitPreprocessing(preprocessing, exported.graph, exported.weights);
  const write = weightWriter(precision, weightStorage);
  const layers = [...scalingLayers(preprocessing, scaler, write)];
  // What reads the preprocessed image reads the input: it comes scaled. The softmax's value is the output.
  const renamed = new Map([
    [preprocessing.name, scaler.factors === null ? inputName : preprocessing.name],
    [last.name, probabilitiesName],
  ]);
  const rename = (name: string) => renamed.get(name) ?? name;
  for (const node of rest)
    for (const layer of layersOf(node, weights, write))
      layers.push({
        ...layer,
        name: rename(layer.name as string),
        input: layer.input?.map(rename) ?? [],
        output: layer.output?.map(rename) ?? [],
      });

  const description = modelDescription(input);
  if (input.makerOutput) addMakers(labels, layers, description, write);
  const model = create(ModelSchema, {
    specificationVersion: specificationVersion(input),
    description,
    Type: {
      case: 'neuralNetworkClassifier',
      value: {
        layers,
        preprocessing: [{ featureName: inputName, preprocessor: { case: 'scaler', value: channels(scaler) } }],
        ClassLabels: { case: 'stringClassLabels', value: { vector: [...labels] } },
        labelProbabilityLayerName: probabilitiesName,
      },
    },
  });
  return {
    fileName: `${input.name}.mlmodel`,
    bytes: toBinary(ModelSchema, model) as Uint8Array<ArrayBuffer>,
  };
}

/** The least that knows how the weights lie: 1 is iOS 11, 2 iOS 11.2 (float16), 3 iOS 12 (8 bits). No layer needs more. */
const specificationVersion = ({ precision, weightStorage }: ExportInput) =>
  weightStorage !== 'full' ? 3 : precision === 'float16' ? 2 : 1;

const channels = ({ channelScale, bias }: ImageScaler) => ({
  channelScale,
  redBias: bias[0] as number,
  greenBias: bias[1] as number,
  blueBias: bias[2] as number,
});

function scalingLayers({ name }: ChannelAffineNode, { factors }: ImageScaler, write: WeightWriter): LayerInit[] {
  if (factors === null) return [];
  const scale = write.vector(name, Float32Array.from(factors));
  return [
    {
      name,
      input: [inputName],
      output: [name],
      layer: { case: 'scale', value: { shapeScale: [BigInt(factors.length)], scale } },
    },
  ];
}

/** A maker's probability is the sum of its classes': a linear layer of zeros and ones. */
function addMakers(
  labels: readonly string[],
  layers: LayerInit[],
  description: ModelDescription,
  write: WeightWriter,
): void {
  const makers = makersOf(labels);
  const members = makerMatrix(makers, labels.length, 'makers');
  layers.push({
    name: makersName,
    input: [probabilitiesName],
    output: [makersName],
    layer: {
      case: 'innerProduct',
      value: {
        inputChannels: BigInt(labels.length),
        outputChannels: BigInt(makers.length),
        weights: write.vector(makersName, members),
      },
    },
  });
  const output = description.output.find(({ name }) => name === makersName)?.type?.Type;
  if (output?.case !== 'multiArrayType') throw new Error(`The description has no array ${makersName}`);
  // A vector is of one axis here.
  output.value.shape = [BigInt(makers.length)];
}

export const mlmodel: ExportFormat = {
  id: 'mlmodel',
  label: 'Core ML model file',
  summary: 'One file, for iOS 11 to 14 and for apps that load a .mlmodel; GPU and Neural Engine run it in float16.',
  extension: '.mlmodel',
  mediaType: 'application/octet-stream',
  precisions: ['float16', 'float32'],
  weightStorages: ['full', 'palettized', 'linear'],
  makerOutput: true,
  write: exportNeuralNetwork,
};
