import { buildGraph } from '../architectures/index.ts';
import { checkedDecoder } from '../dataset/decoding.ts';
import { BackendUnavailableError, DeviceLostError, GpuError, OutOfMemoryError } from '../engine/errors.ts';
import { openInference, type Predictor } from '../engine/inference.ts';
import { classify } from '../evaluation/classify.ts';
import type { Prediction } from '../evaluation/types.ts';
import { ModelUnreadableError } from '../export/demo/errors.ts';
import type { ModelDescription } from '../export/demo/modelDescription.ts';
import { browserEngineEnvironment } from '../platform/browser/engineEnvironment.ts';
import { imageDecoder } from '../platform/browser/imageDecoder.ts';
import { readSafetensors } from '../weights/safetensors.ts';
import { CannotComputeError } from './errors.ts';

export interface Answering {
  /** What computes, as the user is shown it. */
  readonly device: string;
  answer(file: Blob): Promise<Prediction>;
}

/** What the engine says to somebody who trains. */
const failures = [BackendUnavailableError, DeviceLostError, GpuError, OutOfMemoryError] as const;

/** The model on a device of this computer; one that was lost or failed is opened anew for the next image. */
export async function answering(description: ModelDescription, weights: Uint8Array): Promise<Answering> {
  const { architecture, labels, imageSize: size, geometry, mean, std } = description;
  const graph = buildGraph(architecture, labels.length);
  const { tensors } = readSafetensors(weights);
  const decoder = checkedDecoder(imageDecoder());
  const environment = browserEngineEnvironment();

  const open = async (): Promise<{ device: string; network: Predictor }> => {
    const engine = await openInference(environment);
    void engine.lost.then(() => (opened = null));
    try {
      return { device: engine.adapter.label, network: await engine.build(graph, tensors) };
    } catch (error) {
      if (isFailure(error)) throw error;
      throw new ModelUnreadableError(
        'model',
        error instanceof Error ? error.message.replace(/\.$/, '') : String(error),
      );
    }
  };
  let opened: ReturnType<typeof open> | null = null;
  const onDevice = async <T>(work: (on: Awaited<ReturnType<typeof open>>) => Promise<T> | T): Promise<T> => {
    try {
      return await work(await (opened ??= open()));
    } catch (error) {
      if (!isFailure(error)) throw error;
      opened = null;
      throw new CannotComputeError(error);
    }
  };

  return {
    device: await onDevice(({ device }) => device),
    answer: async (file) => {
      const image = await decoder.decode(new Uint8Array(await file.arrayBuffer()));
      return onDevice(({ network }) => classify(network, image, { labels, size, geometry, mean, std }));
    },
  };
}

function isFailure(error: unknown): error is InstanceType<(typeof failures)[number]> {
  return failures.some((failure) => error instanceof failure);
}
