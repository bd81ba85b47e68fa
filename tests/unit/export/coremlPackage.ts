import { fromBinary } from '@bufbuild/protobuf';
import JSZip from 'jszip';
import type { ArchitectureName } from '../../../src/architectures/settings.ts';
import type { Operation } from '../../../src/export/coreml/generated/MIL_pb.ts';
import { ModelSchema, type Model } from '../../../src/export/coreml/generated/Model_pb.ts';
import type { ExportInput } from '../../../src/export/index.ts';
import { exportInput, flatWeights, judgedMetadata } from '../support/exportInput.ts';

export function inputFor(
  name: ArchitectureName,
  { classes = 3, ...options }: Partial<ExportInput> & { classes?: number } = {},
): ExportInput {
  const labels = Array.from({ length: classes }, (_, i) => `MAKER - Model ${i}`);
  return exportInput(name, labels, flatWeights, {
    precision: 'float16',
    ...options,
    metadata: { ...judgedMetadata, ...options.metadata },
  });
}

export async function unpack(bytes: Uint8Array): Promise<{ zip: JSZip; model: Model; weightFile: Uint8Array }> {
  const zip = await JSZip.loadAsync(bytes);
  const data = 'PacerIDClassifier.mlpackage/Data/com.apple.CoreML';
  const content = (path: string) => zip.file(`${data}/${path}`)!.async('uint8array');
  return {
    zip,
    model: fromBinary(ModelSchema, await content('model.mlmodel')),
    weightFile: await content('weights/weight.bin'),
  };
}

export function operationsOf(model: Model): Operation[] {
  if (model.Type.case !== 'mlProgram') throw new Error('not a program');
  const { opset, blockSpecializations } = model.Type.value.functions['main']!;
  return blockSpecializations[opset]!.operations;
}
export function counts(model: Model): Record<string, number> {
  const result: Record<string, number> = {};
  for (const { type } of operationsOf(model)) result[type] = (result[type] ?? 0) + 1;
  delete result['const'];
  return result;
}
