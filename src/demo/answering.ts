import { buildGraph } from '../architectures/index.ts';
import { checkedDecoder } from '../dataset/decoding.ts';
import type { ImageDecoder } from '../dataset/types.ts';
import {
  BackendUnavailableError,
  DeviceLostError,
  GpuError,
  GpuMemoryError,
  OutOfMemoryError,
} from '../engine/errors.ts';
import { openInference, type InferenceEngine, type Predictor } from '../engine/inference.ts';
import { classify } from '../evaluation/classify.ts';
import type { Prediction } from '../evaluation/types.ts';
import { ModelUnreadableError } from '../export/demo/errors.ts';
import type { ModelDescription } from '../export/demo/modelDescription.ts';
import { browserEngineEnvironment } from '../platform/browser/engineEnvironment.ts';
import { imageDecoder } from '../platform/browser/imageDecoder.ts';
import { readSafetensors } from '../weights/safetensors.ts';
import { CannotComputeError } from './errors.ts';

export interface Answering {
  /** Opens one, where there is none yet. What computes, as the user is shown it. */
  device(): Promise<string>;
  answer(file: Blob): Promise<Prediction>;
}

/** What the engine says to somebody who trains. */
const failures = [BackendUnavailableError, DeviceLostError, GpuError, GpuMemoryError, OutOfMemoryError] as const;

/** What it takes to look at images. */
export interface Platform {
  open(): Promise<InferenceEngine>;
  readonly decoder: ImageDecoder;
}

export const inBrowser = (): Platform => ({
  open: () => openInference(browserEngineEnvironment()),
  decoder: imageDecoder(),
});

interface Opened {
  readonly device: string;
  readonly network: Predictor;
  readonly lost: Promise<string>;
}

/** The model on a device of this computer; one that was lost or failed is given up, and opened anew for the next image. */
export function answering(description: ModelDescription, weights: Uint8Array, platform: Platform): Answering {
  const { architecture, batchNormEps, labels, imageSize: size, geometry, mean, std, temperature = 1 } = description;
  const graph = buildGraph(architecture, labels.length, { batchNormEps });
  const { tensors } = readSafetensors(weights);
  const decoder = checkedDecoder(platform.decoder);
  let opened: Promise<Opened> | null = null;

  const open = async (): Promise<Opened> => {
    const { adapter, build, lost } = await platform.open();
    try {
      return { device: adapter.label, network: await build(graph, tensors), lost };
    } catch (error) {
      if (isFailure(error)) throw error;
      throw new ModelUnreadableError(
        'model',
        error instanceof Error ? error.message.replace(/\.$/, '') : String(error),
      );
    }
  };
  /** Its memory is given back; by now there may be another. */
  const giveUp = (one: Promise<Opened>): void => {
    if (opened === one) opened = null;
    one.then(
      ({ network }) => network.dispose(),
      () => undefined,
    );
  };
  const current = (): Promise<Opened> => {
    if (opened !== null) return opened;
    const one = open();
    one
      .then(({ lost }) => lost)
      .then(
        () => giveUp(one),
        () => undefined,
      );
    return (opened = one);
  };
  const onDevice = async <T>(work: (on: Opened) => Promise<T> | T): Promise<T> => {
    const one = current();
    try {
      return await work(await one);
    } catch (error) {
      if (!isFailure(error)) throw error;
      giveUp(one);
      throw new CannotComputeError(error);
    }
  };

  return {
    device: () => onDevice(({ device }) => device),
    answer: async (file) => {
      const image = await decoder.decode(new Uint8Array(await file.arrayBuffer()));
      return onDevice(({ network }) => classify(network, image, { labels, size, geometry, mean, std, temperature }));
    },
  };
}

function isFailure(error: unknown): error is InstanceType<(typeof failures)[number]> {
  return failures.some((failure) => error instanceof failure);
}
