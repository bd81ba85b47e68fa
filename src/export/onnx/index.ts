import { create, toBinary } from '@bufbuild/protobuf';
import { exportGraph } from '../exportGraph.ts';
import { describe, metadataPairs } from '../metadata.ts';
import type { ExportedBytes, ExportFormat, ExportInput } from '../types.ts';
import { ModelProtoSchema } from './generated/onnx_pb.ts';
import { modelGraph } from './modelGraph.ts';

/**
 * The oldest of the opsets that have all that is written here is 13; 17 is what onnxruntime 1.12 (July 2022) and everything since reads,
 * as does whatever converts ONNX further, and no later one has anything for these networks. IR version 8 is the one of its time.
 */
const opset = 17n;
const irVersion = 8n;

/**
 * An image classifier in ONNX: `image` float32 `[N, 3, size, size]`, RGB, 0–255, in; `probabilities` float32 `[N, classes]` out and, where
 * wanted, `maker_probabilities` `[N, makers]`; preprocessing and softmax inside, batch norms folded, batch N as the caller likes. Weights
 * lie in the file itself. Throws `Float16RangeError` where a weight doesn't fit into float16.
 */
export async function exportOnnx(input: ExportInput): Promise<ExportedBytes> {
  const { metadata } = input;
  const model = create(ModelProtoSchema, {
    irVersion,
    opsetImport: [{ domain: '', version: opset }],
    producerName: 'PacerID Studio',
    modelVersion: packedVersion(metadata.version),
    docString: describe(input),
    graph: modelGraph({ ...input, ...exportGraph(input) }),
    metadataProps: Object.entries({
      ...metadataPairs(input),
      'pacerid.author': metadata.author,
      'pacerid.version': metadata.version,
      // What `image` wants, as onnx/docs/MetadataProps.md has it.
      'Image.BitmapPixelFormat': 'Rgb8',
      'Image.ColorSpaceGamma': 'SRGB',
      'Image.NominalPixelRange': 'NominalRange_0_255',
    }).map(([key, value]) => ({ key, value })),
  });
  return { fileName: `${input.name}.onnx`, bytes: toBinary(ModelProtoSchema, model) };
}

/** MAJOR in the two highest bytes, MINOR in the next two, PATCH in the last four (onnx/docs/Versioning.md); 0 for anything else. */
function packedVersion(version: string): bigint {
  const parts = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version);
  if (!parts) return 0n;
  const [major, minor, patch] = parts.slice(1).map(BigInt) as [bigint, bigint, bigint];
  return BigInt.asIntN(64, (major << 48n) | (minor << 32n) | patch);
}

export const onnx: ExportFormat = {
  id: 'onnx',
  label: 'ONNX',
  summary: 'For onnxruntime on servers, desktops, Android and the web.',
  extension: '.onnx',
  mediaType: 'application/octet-stream',
  precisions: ['float32', 'float16'],
  weightStorages: ['full', 'palettized', 'linear'],
  makerOutput: true,
  write: exportOnnx,
};
