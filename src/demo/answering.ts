import { buildGraph } from '../architectures/index.ts';
import { checkedDecoder } from '../dataset/decoding.ts';
import { openInference, type Predictor } from '../engine/inference.ts';
import { classify } from '../evaluation/classify.ts';
import type { Prediction } from '../evaluation/types.ts';
import { ModelUnreadableError } from '../export/demo/errors.ts';
import type { ModelDescription } from '../export/demo/modelDescription.ts';
import { browserEngineEnvironment } from '../platform/browser/engineEnvironment.ts';
import { imageDecoder } from '../platform/browser/imageDecoder.ts';
import { readSafetensors } from '../weights/safetensors.ts';

export interface Answering {
  /** What computes, as the user is shown it. */
  readonly device: string;
  answer(file: Blob): Promise<Prediction>;
}

/** The model on a device of this computer; a device that was lost is opened anew for the next image. */
export async function answering(description: ModelDescription, weights: Uint8Array): Promise<Answering> {
  const { architecture, labels, imageSize: size, geometry, mean, std } = description;
  const graph = buildGraph(architecture, labels.length);
  const { tensors } = readSafetensors(weights);
  const decoder = checkedDecoder(imageDecoder());
  const environment = browserEngineEnvironment();

  const open = async (): Promise<{ device: string; network: Predictor }> => {
    const engine = await openInference(environment);
    let network: Predictor;
    try {
      network = await engine.build(graph, tensors);
    } catch (error) {
      throw new ModelUnreadableError(
        'model',
        error instanceof Error ? error.message.replace(/\.$/, '') : String(error),
      );
    }
    void engine.lost.then(() => (opened = null));
    return { device: engine.adapter.label, network };
  };
  let opened: ReturnType<typeof open> | null = open();
  const { device } = await opened;

  return {
    device,
    answer: async (file) => {
      const image = await decoder.decode(new Uint8Array(await file.arrayBuffer()));
      const { network } = await (opened ??= open());
      return classify(network, image, { labels, size, geometry, mean, std });
    },
  };
}
