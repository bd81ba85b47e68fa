import * as tf from '@tensorflow/tfjs';
import type { Graph, Weights } from '../graph/types.ts';
import { describeAdapter, describeProcessor, requestAdapter } from './adapter.ts';
import { BackendUnavailableError } from './errors.ts';
import { createAnswering } from './reference/frozen.ts';
import { createHost, type OpenBackend } from './reference/host.ts';
import { openWasm } from './reference/wasmBackend.ts';
import { openWebGpu } from './reference/webgpuBackend.ts';
import type { AdapterReport, EngineEnvironment, Network } from './types.ts';

/** A network that can do nothing but answer. */
export type Predictor = Pick<Network, 'graph' | 'predict' | 'dispose'>;

/** As `Engine`, for whoever only predicts: no gradients, no optimiser, none of their kernels come along. */
export interface InferenceEngine {
  readonly adapter: AdapterReport;
  /** Rejects where a parameter is missing or has another shape. */
  build(graph: Graph, weights: Weights): Promise<Predictor>;
  /** Resolves with a reason once the device is gone; never rejects. */
  readonly lost: Promise<string>;
}

/** A real GPU through WebGPU, else wasm; also where the GPU says no in the end. Throws `BackendUnavailableError`. */
export async function openInference(environment: EngineEnvironment): Promise<InferenceEngine> {
  tf.enableProdMode();
  const adapter = await requestAdapter(environment);
  if (adapter !== null) {
    const report = describeAdapter(adapter, null);
    try {
      if (!report.software) return inferenceOn(report, await openWebGpu(adapter));
    } catch (error) {
      console.warn(`${report.label} could not be used, the processor is:`, error);
    }
  }
  try {
    const { backend, threads } = await openWasm(environment);
    return inferenceOn(describeProcessor('wasm', threads, null), backend);
  } catch (error) {
    throw new BackendUnavailableError('WebAssembly', error);
  }
}

/** On a backend that has been started. */
export function inferenceOn(adapter: AdapterReport, backend: OpenBackend): InferenceEngine {
  const host = createHost(backend);
  return {
    adapter,
    lost: host.lost,
    build: (graph, weights) => host.guard(async () => ({ graph, ...createAnswering(host, graph, weights) })),
  };
}
