import { architectures, buildGraph } from '../architectures/index.ts';
import type { ArchitectureName } from '../architectures/settings.ts';
import type { Dataset, ImageSource, Split } from '../dataset/types.ts';
import type { Engine, Network } from '../engine/types.ts';
import { evaluate, type EvaluationOptions } from '../evaluation/evaluate.ts';
import type { EvaluationReport } from '../evaluation/types.ts';
import { judgedAtOnce, networkOptions } from '../training/attempt.ts';
import type { Checkpoint } from '../training/types.ts';

/** A checkpoint's network to predict with, as its run made it: what is judged here has the very bits of what was judged there. */
export function networkOf(checkpoint: Checkpoint, engine: Engine): Promise<Network> {
  const { architecture, config, dataset, weights, batchNormEps, cuts = null } = checkpoint;
  const graph = buildGraph(architecture as ArchitectureName, dataset.classes.length, { batchNormEps });
  return engine.build(graph, weights, { ...networkOptions(graph, config, config.data.batch_size), cuts });
}

/**
 * How good a checkpoint is on images of `dataset`, which may be another one than it was trained with: labels are told by their
 * names. `indices`: images of classes that the checkpoint knows. `network`: of `networkOf`.
 */
export function judge(
  network: Network,
  checkpoint: Checkpoint,
  on: {
    readonly dataset: Dataset;
    /** What evaluation sees (`evaluationSource`), by the checkpoint's configuration. */
    readonly source: ImageSource;
    readonly indices: readonly number[];
    readonly split: Split;
  },
  options: Pick<EvaluationOptions, 'onProgress' | 'between'>,
): Promise<EvaluationReport> {
  const { classes } = checkpoint.dataset;
  const { data } = checkpoint.config;
  const { mean, std } = architectures[checkpoint.architecture as ArchitectureName];
  const labels = on.dataset.classes.map((name) => classes.indexOf(name));
  const images = on.dataset.images.map((image) => ({ ...image, label: labels[image.label] ?? -1 }));
  return evaluate(network, on.source, on.indices, images, classes, {
    split: on.split,
    size: data.img_size,
    mean,
    std,
    batch: judgedAtOnce(data.batch_size, checkpoint.batchnormBatch),
    temperature: checkpoint.temperature ?? 1,
    ...options,
  });
}
