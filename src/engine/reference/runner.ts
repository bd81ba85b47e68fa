import * as tf from '@tensorflow/tfjs';
import type { Graph, ParameterSpec, Weights } from '../../graph/types.ts';
import { turn } from '../../turn.ts';
import type { ImageBatch } from '../types.ts';
import type { Host } from './host.ts';
import { uploadParameters, type DeviceParameters } from './parameters.ts';
import { forward, planOf, type ForwardOptions, type ForwardPass, type Plan } from './pass.ts';

/** Where work on the processor has held the thread for this long, ms, the event loop gets a turn: commands are heard. */
const BREATH = 200;

/** A graph with its parameters on the device: what training and predicting share. */
export interface Runner {
  readonly plan: Plan;
  readonly parameters: DeviceParameters;
  /** One call at a time: a step reads logits back in its middle, and nothing may change the weights meanwhile. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  /** Awaited after each node. */
  afterNode(): Promise<void>;
  /** `[n, size, size, C]` on the device. */
  upload(batch: ImageBatch): tf.Tensor;
  /** Frees `x`. */
  forward(x: tf.Tensor, options: Pick<ForwardOptions, 'training' | 'record' | 'uniform'>): Promise<ForwardPass>;
  /** The last output of the runner's plan, or of one that is a part of it, in eval mode. Within `inTurn`; frees `x`. */
  outputOf(x: tf.Tensor, of?: Plan): Promise<Float32Array>;
  /** Logits `[n, classes]`, eval mode. */
  predict(batch: ImageBatch): Promise<Float32Array>;
  dispose(): void;
}

export function createRunner(
  host: Host,
  graph: Graph,
  weights: Weights,
  trainable: (spec: ParameterSpec) => boolean,
): Runner {
  host.enter();
  const parameters = uploadParameters(graph, weights, trainable);
  const trained = new Set([...parameters.all.values()].flatMap((p) => (p.state ? [p.spec.node] : [])));
  const plan = planOf(graph, trained);
  const channels = graph.nodes[0]?.op === 'input' ? graph.nodes[0].channels : 3;
  let disposed = false;
  let queue: Promise<unknown> = Promise.resolve();
  let breathed = performance.now();

  const runner: Runner = {
    plan,
    parameters,
    inTurn(work) {
      const run = queue.then(() => {
        if (disposed) throw new Error('The network has been disposed of.');
        return host.guard(work);
      });
      queue = run.catch(() => {});
      return run;
    },
    async afterNode() {
      host.observe();
      if (performance.now() - breathed < BREATH) return;
      await turn();
      breathed = performance.now();
      host.enter();
    },
    upload({ images, n, size }) {
      if (images.length !== n * size * size * channels) {
        throw new Error(`${images.length} numbers are no batch [${n},${size},${size},${channels}].`);
      }
      host.enter();
      return tf.tensor4d(images, [n, size, size, channels]);
    },
    forward(x, options) {
      host.enter();
      return forward(plan, x, { ...options, parameters: parameters.ofNode, onNode: runner.afterNode });
    },
    async outputOf(x, of = plan) {
      host.enter();
      const pass = await forward(of, x, { ...inEvalMode, parameters: parameters.ofNode, onNode: runner.afterNode });
      try {
        return (await pass.output.data()) as Float32Array;
      } finally {
        pass.ledger.disposeAll();
      }
    },
    predict: (batch) => runner.inTurn(async () => runner.outputOf(runner.upload(batch))),
    dispose() {
      if (disposed) return;
      disposed = true;
      queue = queue.then(() => parameters.dispose());
    },
  };
  return runner;
}

const inEvalMode: Pick<ForwardOptions, 'training' | 'record' | 'uniform'> = {
  training: false,
  record: false,
  uniform: () => () => {
    throw new Error('Dropout draws nothing in eval mode.');
  },
};
