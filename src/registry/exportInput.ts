import { architectures, buildGraph } from '../architectures/index.ts';
import type { ArchitectureName } from '../architectures/settings.ts';
import type { ExportInput } from '../export/index.ts';
import { precisionOf } from '../export/precision.ts';
import type { Checkpoint, RunConfig } from '../training/types.ts';

/**
 * What an exporter needs of a checkpoint. `config`: the checkpoint's, with the name and the metadata that the model is to have now;
 * `test`: how its run did on Test, null where it was not judged.
 */
export function exportInput(
  checkpoint: Checkpoint,
  config: RunConfig,
  test: ExportInput['metadata']['test'],
): ExportInput {
  const { dataset, weights, members, batchNormEps } = checkpoint;
  const { output, data } = config;
  const architecture = checkpoint.architecture as ArchitectureName;
  const { mean, std } = architectures[architecture];
  return {
    name: output.model_name,
    graph: buildGraph(architecture, dataset.classes.length, { batchNormEps }),
    weights,
    labels: dataset.classes,
    ...(members && { members }),
    imageSize: data.img_size,
    mean,
    std,
    precision: precisionOf(output.precision, architecture),
    temperature: checkpoint.temperature ?? 1,
    weightStorage: output.weights,
    makerOutput: output.maker_output,
    metadata: {
      author: output.author,
      description: output.description,
      intendedUse: output.intended_use,
      version: output.version,
      config: JSON.stringify(config),
      dataset: { name: dataset.name, hash: dataset.hash, synthetic: dataset.synthetic },
      test: test && { n: test.n, accuracy: test.accuracy, interval: test.interval },
      geometry: data.geometry,
    },
  };
}
