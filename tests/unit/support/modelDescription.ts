import { createHash } from 'node:crypto';
import type { ModelDescription } from '../../../src/export/demo/modelDescription.ts';

/** What `model/model.json` says of a model with these weights: written by hand, not by the code that writes or reads it. */
export function modelDescription(weights: Uint8Array, changes: Partial<ModelDescription> = {}): ModelDescription {
  return {
    format: 'pacerid-model',
    schema: 1,
    name: 'PacerIDClassifier',
    version: '1.0.0',
    architecture: 'tiny',
    labels: ['a', 'b', 'c'],
    imageSize: 32,
    geometry: 'center_crop',
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
    weights: {
      file: 'weights.safetensors',
      sha256: createHash('sha256').update(weights).digest('hex'),
      bytes: weights.length,
    },
    dataset: { name: 'Sample radiographs (synthetic)', synthetic: true },
    test: null,
    author: '',
    description: '',
    intendedUse: '',
    createdAt: '2026-01-01T00:00:00.000Z',
    ...changes,
  };
}
