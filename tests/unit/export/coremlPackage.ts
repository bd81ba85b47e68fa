import { fromBinary } from '@bufbuild/protobuf';
import JSZip from 'jszip';
import { architectures } from '../../../src/architectures/index.ts';
import type { ArchitectureName } from '../../../src/architectures/settings.ts';
import type { Operation } from '../../../src/export/coreml/generated/MIL_pb.ts';
import { ModelSchema, type Model } from '../../../src/export/coreml/generated/Model_pb.ts';
import type { ExportInput } from '../../../src/export/index.ts';
import { parametersOf, sizeOf } from '../../../src/graph/parameters.ts';

export function inputFor(
  name: ArchitectureName,
  options: Partial<ExportInput> & { classes?: number } = {},
): ExportInput {
  const classes = options.classes ?? 3;
  const { mean, std, build } = architectures[name];
  const graph = build(classes);
  const weights = new Map(
    parametersOf(graph).map(({ name: key, shape, kind }) => [
      key,
      { shape, data: new Float32Array(sizeOf(shape)).fill(kind === 'running_var' ? 1 : 0.5) },
    ]),
  );
  return {
    name: 'PacerIDClassifier',
    graph,
    weights,
    labels: Array.from({ length: classes }, (_, i) => `MAKER - Model ${i}`),
    imageSize: 64,
    mean,
    std,
    precision: 'float16',
    temperature: 1,
    weightStorage: 'full',
    makerOutput: false,
    metadata: {
      author: 'A. Uthor',
      description: 'Names the device.',
      intendedUse: 'Teaching.',
      version: '1.2.3',
      config: '{"a":1}',
      dataset: { name: 'Sample', hash: 'abc', synthetic: true },
      test: { n: 40, accuracy: 0.925, interval: [0.801, 0.974] },
      geometry: 'center_crop',
    },
    ...options,
  };
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
