import type { AdapterReport } from '../engine/types.ts';
import { countsOf } from '../graph/counts.ts';
import type { Graph } from '../graph/types.ts';
import { slotsOf, type OptimiserChoice } from './optimiser.ts';
import { MIN_PART, type TrainingSettings } from './settings.ts';

const GIB = 2 ** 30;

/**
 * Bytes that training may take. WebGPU doesn't tell how much memory there is: 4 GiB is what an integrated GPU of an 8 GiB
 * laptop can give; a device that has less refuses, and the batch is then split further. A wasm heap ends at 4 GiB and
 * fragments before.
 */
export function memoryBudget(adapter: AdapterReport): number {
  return adapter.backend === 'wasm' ? 2 * GIB : 4 * GIB;
}

type StepSettings = OptimiserChoice & Pick<TrainingSettings, 'layers'>;

/**
 * Peak bytes of a training step of n images: weights, gradients and Adam's two moments are four times the parameters (three times with
 * SGD's one), and a backward pass that frees early holds little more than the outputs of all nodes (measured on the reference engine: 195 MB an image
 * for DenseNet121, 150 MB for ResNet50 at 224 px, 1.04 times the outputs; 1.7 times for MobileNetV3-Small, where it matters
 * little). With a frozen backbone a forward pass keeps only the live outputs: four of the largest.
 */
export function stepBytes(graph: Graph, size: number, n: number, training: StepSettings): number {
  const { weightBytes, activationBytes, largestActivationBytes } = countsOf(graph, size);
  return training.layers === 'all'
    ? (2 + slotsOf(training).length) * weightBytes + 1.2 * n * activationBytes
    : 1.1 * weightBytes + 4 * n * largestActivationBytes;
}

/** Images that can go through at once: the batch, or the largest even part of it that fits, 8 at least. */
export function planPart(
  graph: Graph,
  size: number,
  batchSize: number,
  training: StepSettings,
  adapter: AdapterReport,
): number {
  const largest = countsOf(graph, size).largestActivationBytes;
  const binding = adapter.limits['maxStorageBufferBindingSize'] ?? Infinity;
  const fits = (n: number): boolean =>
    stepBytes(graph, size, n, training) <= memoryBudget(adapter) && n * largest <= binding;
  let part = batchSize;
  for (let parts = 2; part > MIN_PART && !fits(part); parts++) part = Math.max(MIN_PART, Math.ceil(batchSize / parts));
  return part;
}
