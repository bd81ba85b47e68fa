import { create } from '@bufbuild/protobuf';
import { makersOf } from '../makers.ts';
import { describe, metadataPairs } from '../metadata.ts';
import type { ExportInput } from '../types.ts';
import { ArrayFeatureType_ArrayDataType, ImageFeatureType_ColorSpace } from './generated/FeatureTypes_pb.ts';
import { ModelDescriptionSchema, type ModelDescription } from './generated/Model_pb.ts';
import { inputName, labelName, makersName, probabilitiesName } from './milProgram.ts';

/** What Xcode and the app see of the model: input, outputs, and who made it of what. */
export function modelDescription(input: ExportInput): ModelDescription {
  const { imageSize, labels } = input;
  const makers = input.makerOutput ? makersOf(labels).map(({ name }) => name) : null;
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
      ...(makers === null
        ? []
        : [
            {
              name: makersName,
              shortDescription: `Probability of each maker, the sum of its classes’, in this order: ${JSON.stringify(makers)}`,
              type: {
                Type: {
                  case: 'multiArrayType' as const,
                  value: { shape: [1n, BigInt(makers.length)], dataType: ArrayFeatureType_ArrayDataType.FLOAT32 },
                },
              },
            },
          ]),
    ],
    predictedFeatureName: labelName,
    predictedProbabilitiesName: probabilitiesName,
    metadata: {
      shortDescription: describe(input),
      author: input.metadata.author,
      versionString: input.metadata.version,
      userDefined: metadataPairs(input),
    },
  });
}
