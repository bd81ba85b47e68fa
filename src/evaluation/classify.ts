import { evaluationCrop } from '../dataset/geometry.ts';
import type { RgbImage } from '../dataset/types.ts';
import type { ChannelStatistics } from '../engine/normalise.ts';
import type { Network } from '../engine/types.ts';
import { softmax } from './metrics.ts';
import { normalisedBatch, type Geometry } from './pixels.ts';
import type { Prediction } from './types.ts';

/** What it takes to read a network's answer. */
export interface Reading extends ChannelStatistics {
  /** In the order of the logits. */
  readonly labels: readonly string[];
  /** Side of the network's input, pixels. */
  readonly size: number;
  readonly geometry: Geometry;
  /** What the logits are divided by to become probabilities. */
  readonly temperature: number;
}

/** One image, as evaluation would see it. */
export async function classify(
  network: Pick<Network, 'predict'>,
  image: RgbImage,
  { labels, size, geometry, temperature, ...statistics }: Reading,
): Promise<Prediction> {
  const started = performance.now();
  const seen = evaluationCrop(image, size, geometry);
  const logits = await network.predict(normalisedBatch([seen], size, statistics));
  const probabilities = softmax(logits, labels.length, temperature);
  const milliseconds = performance.now() - started;
  const classes = labels
    .map((label, i) => ({ label, probability: probabilities[i] as number }))
    .sort((a, b) => b.probability - a.probability);
  return { classes, seen, milliseconds };
}
