import * as tf from '@tensorflow/tfjs';
import { random } from '../../random.ts';
import type { BatchNorm2dNode, Graph, Weights } from '../../graph/types.ts';
import { turn } from '../turn.ts';
import type { ImageBatch, LabelledBatch, Network, NetworkOptions, OptimiserState, StepResult } from '../types.ts';
import { adamScalars, moveStatistics, updateParameter, type InPlace } from './adam.ts';
import { crossEntropy } from './loss.ts';
import { uploadParameters } from './parameters.ts';
import { backward, forward, planOf, type ForwardPass, type Gradients, type Statistics } from './pass.ts';

/** Stream of random.ts that dropout draws from: ('drop', step, part and node). */
const DROPOUT = 0x64726f70;

/** Where work on the processor has held the thread for this long, ms, the event loop gets a turn: commands are heard. */
const BREATH = 200;

/** What a network needs of the engine that it lives on. */
export interface Host {
  readonly inPlace: InPlace | null;
  /** Makes the engine's backend the current one. Called before every stretch of synchronous work. */
  enter(): void;
  /** Called where memory is high: keeps the peak. */
  observe(): void;
  /** Runs `work`; rejects with DeviceLostError or GpuError where the device fails meanwhile. */
  guard<T>(work: () => Promise<T>): Promise<T>;
  /** Resolves when all that was handed to the device is done. */
  settled(): Promise<void>;
}

export function createNetwork(host: Host, graph: Graph, weights: Weights, options: NetworkOptions): Network {
  host.enter();
  const headOnly = options.trainable === 'head';
  const parameters = uploadParameters(
    graph,
    weights,
    (spec) => spec.trainable && (!headOnly || spec.node === graph.head),
  );
  const trainable = new Set([...parameters.all.values()].flatMap((p) => (p.moments ? [p.spec.node] : [])));
  const plan = planOf(graph, trainable);
  const batchNorms = new Map(graph.nodes.flatMap((node) => (node.op === 'batchNorm2d' ? [[node.name, node]] : [])));
  const nodeIndex = new Map(graph.nodes.map((node, index) => [node.name, index]));
  const channels = graph.nodes[0]?.op === 'input' ? graph.nodes[0].channels : 3;
  let step = 0;
  let disposed = false;

  // One call at a time: a step reads logits back in its middle, and nothing may change the weights meanwhile.
  let queue: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const run = queue.then(() => {
      if (disposed) throw new Error('The network has been disposed of.');
      return host.guard(work);
    });
    queue = run.catch(() => {});
    return run;
  };

  let breathed = performance.now();
  const afterNode = async (): Promise<void> => {
    host.observe();
    if (performance.now() - breathed < BREATH) return;
    await turn();
    breathed = performance.now();
    host.enter();
  };

  const run = (batch: ImageBatch, training: boolean, part: number): Promise<ForwardPass> => {
    const { images, n, size } = batch;
    if (images.length !== n * size * size * channels) {
      throw new Error(`${images.length} numbers are no batch [${n},${size},${size},${channels}].`);
    }
    return forward(plan, tf.tensor4d(images, [n, size, size, channels]), {
      training: training && !headOnly,
      record: training,
      parameters: parameters.ofNode,
      uniform: (node) => random(options.seed, DROPOUT, step, part * 4096 + nodeIndex.get(node)!).uniform,
      onNode: afterNode,
    });
  };

  /** Gradients of one part, or null where its loss isn't finite. */
  const differentiate = async (batch: LabelledBatch, part: number, scale: number) => {
    host.enter();
    const pass = await run(batch, true, part);
    try {
      const logits = (await pass.output.data()) as Float32Array;
      const { sum, gradient } = crossEntropy(logits, batch.labels, graph.classes, scale);
      if (!Number.isFinite(sum)) return { sum, logits, gradients: null, statistics: [] };
      host.enter();
      const dy = tf.tensor2d(gradient, [batch.n, graph.classes]);
      const gradients = await backward(plan, pass, dy, parameters.ofNode, afterNode);
      const statistics = pass.statistics.map((s) => ({ ...s, moments: tf.clone(s.moments) }));
      return { sum, logits, gradients, statistics };
    } finally {
      pass.ledger.disposeAll();
    }
  };

  const update = (gradients: Gradients, statistics: readonly Statistics[], learningRate: number): void => {
    step++;
    const scalars = adamScalars(options.optimiser, learningRate, step);
    for (const [name, gradient] of gradients) {
      updateParameter(parameters.all.get(name)!, gradient, scalars, host.inPlace);
    }
    for (const { node, moments, count } of statistics) {
      const momentum = options.batchNormMomentum ?? (batchNorms.get(node) as BatchNorm2dNode).momentum;
      const mean = parameters.all.get(`${node}.running_mean`)!;
      const variance = parameters.all.get(`${node}.running_var`)!;
      // torch keeps the unbiased variance; one value a channel has none, and torch refuses it too.
      moveStatistics(mean, variance, moments, momentum, count / Math.max(1, count - 1), host.inPlace);
    }
  };

  return {
    graph,
    trainStep: (parts, learningRate) =>
      inTurn(async (): Promise<StepResult> => {
        const total = parts.reduce((sum, part) => sum + part.n, 0);
        if (total === 0) throw new Error('A step needs at least one image.');
        const logits = new Float32Array(total * graph.classes);
        const gradients: Gradients = new Map();
        const statistics: Statistics[] = [];
        let sum = 0;
        let rows = 0;
        try {
          for (const [index, part] of parts.entries()) {
            const result = await differentiate(part, index, 1 / total);
            logits.set(result.logits, rows * graph.classes);
            rows += part.n;
            sum += result.sum;
            if (!result.gradients) return { loss: Number.NaN, logits };
            statistics.push(...result.statistics);
            accumulate(gradients, result.gradients);
          }
          host.enter();
          update(gradients, statistics, learningRate);
          await host.settled();
          return { loss: sum / total, logits };
        } finally {
          tf.dispose([...gradients.values(), ...statistics.map(({ moments }) => moments)]);
        }
      }),
    predict: (batch) =>
      inTurn(async () => {
        host.enter();
        const pass = await run(batch, false, 0);
        try {
          return (await pass.output.data()) as Float32Array;
        } finally {
          pass.ledger.disposeAll();
        }
      }),
    readWeights: () => inTurn(() => parameters.read()),
    writeWeights: (next) =>
      inTurn(async () => {
        host.enter();
        parameters.write(next);
      }),
    readOptimiser: () =>
      inTurn(async (): Promise<OptimiserState> => ({ step, moments: await parameters.readMoments() })),
    writeOptimiser: (state) =>
      inTurn(async () => {
        host.enter();
        parameters.writeMoments(state.moments);
        step = state.step;
      }),
    dispose() {
      if (disposed) return;
      disposed = true;
      queue = queue.then(() => parameters.dispose());
    },
  };
}

function accumulate(total: Gradients, part: Gradients): void {
  for (const [name, gradient] of part) {
    const sofar = total.get(name);
    if (sofar) {
      total.set(name, tf.add(sofar, gradient));
      tf.dispose([sofar, gradient]);
    } else {
      total.set(name, gradient);
    }
  }
}
