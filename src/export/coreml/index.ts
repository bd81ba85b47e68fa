import { create, toBinary } from '@bufbuild/protobuf';
import { exportGraph } from '../exportGraph.ts';
import type { ExportedBytes, ExportFormat, ExportInput } from '../types.ts';
import { modelDescription } from './description.ts';
import { ModelSchema } from './generated/Model_pb.ts';
import { writeMilProgram } from './milProgram.ts';
import { zipPackage } from './package.ts';

/**
 * An image classifier for Core ML: `image` (RGB, 0–255) in, `classLabel` and `classLabel_probs` out, `maker_probs` where it is
 * asked for; preprocessing and softmax inside, batch norms folded. Throws `Float16RangeError` where a weight doesn't fit into float16.
 */
export async function exportCoreML(input: ExportInput): Promise<ExportedBytes> {
  const { program, specificationVersion, weightFile } = await writeMilProgram({ ...input, ...exportGraph(input) });
  const model = create(ModelSchema, {
    specificationVersion,
    description: modelDescription(input),
    Type: { case: 'mlProgram', value: program },
  });
  return {
    fileName: `${input.name}.mlpackage.zip`,
    bytes: await zipPackage(input.name, toBinary(ModelSchema, model), weightFile),
  };
}

export const coreml: ExportFormat = {
  id: 'mlpackage',
  label: 'Core ML package',
  summary: 'For the iPhone app and Xcode: unzip it and drag the folder in.',
  extension: '.mlpackage.zip',
  mediaType: 'application/zip',
  precisions: ['float16', 'float32'],
  weightStorages: ['full', 'palettized', 'linear'],
  makerOutput: true,
  write: exportCoreML,
};
