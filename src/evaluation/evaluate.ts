import { turn } from '../turn.ts';
import type { ChannelStatistics } from '../engine/normalise.ts';
import { normalisedBatch } from './pixels.ts';
import { accuracyOf, argmaxRows, classMetrics, confusionMatrix, crossEntropy, macro, softmax } from './metrics.ts';
import { wilsonInterval } from './metrics.ts';
import { fitTemperature } from './temperature.ts';
import type { EvaluationReport } from './types.ts';
import type { ImageEntry, ImageSource, Split } from '../dataset/types.ts';
import type { Network } from '../engine/types.ts';

export interface EvaluationOptions extends ChannelStatistics {
  readonly split: Split;
  /** Side of the network's input, pixels. */
  readonly size: number;
  /** Images that go through the network at once. */
  readonly batch: number;
  /** What logits are divided by to become probabilities; `fit`: what fits these very images best. */
  readonly temperature: number | 'fit';
  readonly onProgress?: (done: number, total: number) => void;
  /** Called between batches, and between images that must be decoded: gives commands a turn, may wait, may throw. */
  readonly between?: () => Promise<void>;
  readonly signal?: AbortSignal;
}

/** How often progress is told within a batch, ms: what a page can draw. */
const PROGRESS_MS = 100;

/**
 * One pass over `indices` in eval mode. `source` gives what the network is to see (`evaluationSource`), `images` gives each index its
 * label, `labels` the classes' names in index order. Throws what the source, the network or `signal` throws.
 */
export async function evaluate(
  network: Network,
  source: ImageSource,
  indices: readonly number[],
  images: readonly ImageEntry[],
  labels: readonly string[],
  options: EvaluationOptions,
): Promise<EvaluationReport> {
  const classes = labels.length;
  const logits = new Float32Array(indices.length * classes);
  let told = -Infinity;
  const tell = (done: number): void => {
    told = performance.now();
    options.onProgress?.(done, indices.length);
  };
  for (let from = 0; from < indices.length; from += options.batch) {
    options.signal?.throwIfAborted();
    const some = indices.slice(from, from + options.batch);
    // A batch of radiographs takes a minute to decode. The batch's end is told once the network has seen it.
    let decoded = 0;
    const between = async (): Promise<void> => {
      decoded += 1;
      if (decoded < some.length && performance.now() - told >= PROGRESS_MS) tell(from + decoded);
      await (options.between ?? turn)();
    };
    const batch = normalisedBatch(await source.read(some, between), options.size, options);
    logits.set(await network.predict(batch), from * classes);
    tell(from + some.length);
    await options.between?.();
  }
  const truth = indices.map((index) => (images[index] as ImageEntry).label);
  return report(logits, truth, labels, indices, options.split, options.temperature);
}

/** The report on logits `[n × classes]` whose truth is known. `temperature`: as in `EvaluationOptions`. */
export function report(
  logits: Float32Array,
  truth: readonly number[],
  labels: readonly string[],
  indices: readonly number[],
  split: Split,
  temperature: number | 'fit',
): EvaluationReport {
  const classes = labels.length;
  const divisor = temperature === 'fit' ? fitTemperature(logits, truth, classes) : temperature;
  const confusion = confusionMatrix(truth, argmaxRows(logits, classes), classes);
  const perClass = classMetrics(confusion, labels);
  const accuracy = accuracyOf(confusion);
  return {
    split,
    n: truth.length,
    loss: crossEntropy(logits, truth, classes),
    accuracy,
    accuracyInterval: wilsonInterval(Math.round(accuracy * truth.length), truth.length),
    precision: macro(perClass.map((one) => one.precision)),
    recall: macro(perClass.map((one) => one.recall)),
    perClass,
    confusion,
    indices: [...indices],
    probabilities: softmax(logits, classes, divisor),
    temperature: divisor,
  };
}
