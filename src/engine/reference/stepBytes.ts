import { countsOf } from '../../graph/counts.ts';
import type { Graph } from '../../graph/types.ts';
import { optimiserSlots } from '../optimiserSlots.ts';
import type { StepBytes, StepShape } from '../types.ts';

/**
 * A model of what a training step of tfjs's ops takes: weights, gradients and Adam's two moments are four times the parameters (three times
 * with SGD's one), and a backward pass that frees early holds little more than the outputs of all nodes (measured: 195 MB an image for
 * DenseNet121, 150 MB for ResNet50 at 224 px, 1.04 times the outputs; 1.7 times for MobileNetV3-Small, where it matters little). With a
 * frozen backbone a forward pass keeps only the live outputs: four of the largest. Nothing is recomputed; each output has a buffer of its own.
 */
export function referenceStepBytes(graph: Graph, { images, imageSize, trainable, optimiser }: StepShape): StepBytes {
  const { weightBytes, activationBytes, largestActivationBytes } = countsOf(graph, imageSize);
  const largest = images * largestActivationBytes;
  const total =
    trainable === 'all'
      ? (2 + optimiserSlots(optimiser).length) * weightBytes + 1.2 * images * activationBytes
      : 1.1 * weightBytes + 4 * largest;
  return { total, binding: largest, buffer: largest };
}
