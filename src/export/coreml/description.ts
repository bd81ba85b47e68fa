import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { ExportInput } from '../types.ts';
import { ImageFeatureType_ColorSpace } from './generated/FeatureTypes_pb.ts';
import { ModelDescriptionSchema, type ModelDescription, type MetadataSchema } from './generated/Model_pb.ts';
import { inputName, labelName, probabilitiesName } from './milProgram.ts';

/** What Xcode and the app see of the model: input, outputs, and who made it of what. */
export function modelDescription(input: ExportInput): ModelDescription {
  const { imageSize, labels } = input;
  return create(ModelDescriptionSchema, {
    input: [
      {
        name: inputName,
        shortDescription: `RGB image, ${imageSize} × ${imageSize} pixels; the model normalises it itself`,
        type: {
          Type: {
            case: 'imageType',
            value: {
              width: BigInt(imageSize),
              height: BigInt(imageSize),
              colorSpace: ImageFeatureType_ColorSpace.RGB,
            },
          },
        },
      },
    ],
    output: [
      {
        name: labelName,
        shortDescription: 'The most probable class',
        type: { Type: { case: 'stringType', value: {} } },
      },
      {
        name: probabilitiesName,
        shortDescription: `Probability of each of the ${labels.length} classes; they sum to 1`,
        type: { Type: { case: 'dictionaryType', value: { KeyType: { case: 'stringKeyType', value: {} } } } },
      },
    ],
    predictedFeatureName: labelName,
    predictedProbabilitiesName: probabilitiesName,
    metadata: metadata(input),
  });
}

const cropAndScale = {
  center_crop: 'VNImageCropAndScaleOption.centerCrop',
  squash: 'VNImageCropAndScaleOption.scaleFill',
} as const;

function metadata({
  graph,
  labels,
  mean,
  std,
  precision,
  metadata,
}: ExportInput): MessageInitShape<typeof MetadataSchema> {
  const { dataset, test } = metadata;
  const notice = 'Not a medical device.';
  const says = metadata.description.includes('ot a medical device');
  const userDefined: Record<string, string> = {
    'pacerid.architecture': graph.architecture,
    'pacerid.classes': JSON.stringify(labels),
    'pacerid.config': metadata.config,
    'pacerid.image_crop_and_scale_option': cropAndScale[metadata.geometry],
    'pacerid.intended_use': metadata.intendedUse,
    'pacerid.notice': notice,
    'pacerid.precision': precision,
    'pacerid.preprocessing': `(pixel / 255 - [${mean.join(', ')}]) / [${std.join(', ')}], inside the model`,
    ...(dataset && {
      'pacerid.dataset': dataset.name,
      'pacerid.dataset_sha256': dataset.hash,
      'pacerid.dataset_synthetic': String(dataset.synthetic),
    }),
    'pacerid.test': test === null ? 'not tested on held-out images' : testResult(test),
    ...(test && { 'pacerid.test_accuracy': String(test.accuracy), 'pacerid.test_images': String(test.n) }),
  };
  return {
    shortDescription: [metadata.description, ...(says ? [] : [notice])].filter((text) => text !== '').join(' '),
    author: metadata.author,
    versionString: metadata.version,
    userDefined,
  };
}

function testResult({ n, accuracy, interval }: NonNullable<ExportInput['metadata']['test']>): string {
  const percent = (share: number) => (100 * share).toFixed(1);
  return (
    `${percent(accuracy)} % of ${n} held-out images right ` +
    `(95 % interval ${percent(interval[0])}–${percent(interval[1])} %)`
  );
}
