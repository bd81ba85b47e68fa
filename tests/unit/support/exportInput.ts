import { architectures } from '../../../src/architectures/index.ts';
import type { ArchitectureName } from '../../../src/architectures/settings.ts';
import type { ExportInput, ModelMetadata } from '../../../src/export/index.ts';
import { parametersOf, sizeOf } from '../../../src/graph/parameters.ts';
import type { Graph, Weights } from '../../../src/graph/types.ts';

/** A model to be written: 64 px, float32, nothing special. A test names what it looks at. */
export function exportInput(
  name: ArchitectureName,
  labels: readonly string[],
  weightsOf: (graph: Graph) => Weights,
  {
    metadata,
    ...options
  }: Partial<Omit<ExportInput, 'metadata'>> & { readonly metadata?: Partial<ModelMetadata> } = {},
): ExportInput {
  const { mean, std, build } = architectures[name];
  const graph = options.graph ?? build(labels.length);
  return {
    name: 'PacerIDClassifier',
    graph,
    weights: options.weights ?? weightsOf(graph),
    labels,
    imageSize: 64,
    mean,
    std,
    precision: 'float32',
    temperature: 1,
    weightStorage: 'full',
    makerOutput: false,
    ...options,
    metadata: {
      author: 'A. Uthor',
      description: 'Names the device.',
      intendedUse: 'Teaching.',
      version: '1.2.3',
      config: '{}',
      dataset: null,
      test: null,
      geometry: 'center_crop',
      ...metadata,
    },
  };
}

/** What a model says of itself that was trained on the sample data set and judged. */
export const judgedMetadata = {
  config: '{"a":1}',
  dataset: { name: 'Sample', hash: 'abc', synthetic: true },
  test: { n: 40, accuracy: 0.925, interval: [0.801, 0.974] },
} as const satisfies Partial<ModelMetadata>;

/** Every weight one half: for tests that look at what is written around them. */
export function flatWeights(graph: Graph): Weights {
  return new Map(
    parametersOf(graph).map(({ name, shape, kind }) => [
      name,
      { shape, data: new Float32Array(sizeOf(shape)).fill(kind === 'running_var' ? 1 : 0.5) },
    ]),
  );
}
