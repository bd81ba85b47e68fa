import { batchNormEpsOf } from '../../graph/batchNormEps.ts';
import { batchNormEpsMetadata, MEMBERS_METADATA } from '../../weights/metadata.ts';
import { writeSafetensors } from '../../weights/safetensors.ts';
import type { ExportedBytes, ExportFormat, ExportInput } from '../types.ts';

/** The trained weights under torchvision's names, float32, with what is needed to use them again in the metadata. */
export async function exportSafetensors(input: ExportInput): Promise<ExportedBytes> {
  const { graph, labels, metadata } = input;
  const { dataset, test } = metadata;
  const bytes = writeSafetensors(input.weights, {
    format: 'pt',
    architecture: graph.architecture,
    ...batchNormEpsMetadata(batchNormEpsOf(graph)),
    classes: JSON.stringify(labels),
    ...(input.members && { [MEMBERS_METADATA]: JSON.stringify(input.members) }),
    image_size: String(input.imageSize),
    mean: JSON.stringify(input.mean),
    std: JSON.stringify(input.std),
    // The weights are as they were trained: softmax(logits / temperature) gives the probabilities.
    temperature: String(input.temperature),
    geometry: metadata.geometry,
    version: metadata.version,
    author: metadata.author,
    description: metadata.description,
    intended_use: metadata.intendedUse,
    notice: 'Not a medical device.',
    config: metadata.config,
    ...(dataset && {
      dataset: dataset.name,
      dataset_sha256: dataset.hash,
      dataset_synthetic: String(dataset.synthetic),
    }),
    ...(test && { test_accuracy: String(test.accuracy), test_images: String(test.n) }),
  });
  return { fileName: `${input.name}.safetensors`, bytes };
}

export const safetensors: ExportFormat = {
  id: 'safetensors',
  label: 'safetensors',
  summary: "For PyTorch and for further training: torchvision's names, full precision.",
  extension: '.safetensors',
  mediaType: 'application/octet-stream',
  precisions: ['float32'],
  write: exportSafetensors,
};
