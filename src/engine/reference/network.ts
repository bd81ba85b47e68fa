import * as tf from '@tensorflow/tfjs';
import { backboneOf, headOf } from '../../graph/head.ts';
import { random, STREAMS } from '../../random.ts';
import type { BatchNorm2dNode, Graph, Weights } from '../../graph/types.ts';
import type { ImageBatch, Network, NetworkOptions, OptimiserState, StepResult, TrainingBatch } from '../types.ts';
import { augmentedInput } from './augmentedInput.ts';
import { backward, type Gradients } from './backward.ts';
import { uploaded } from './frozen.ts';
import { createFrozenBackbone } from './frozenBackbone.ts';
import type { Host } from './host.ts';
import type { InPlace } from './inPlace.ts';
import { crossEntropy, weightOf } from './loss.ts';
import { createOptimiser } from './optimisers/index.ts';
import { readState, startState, writeState } from './optimiserState.ts';
import { checkWeights } from './parameters.ts';
import { planOf, type Statistics } from './pass.ts';
import { createRunner } from './runner.ts';
import { clipScale, moveStatistics, updateParameter } from './update.ts';

/** `inPlace`: what the backend does better than tfjs's ops. */
export function createNetwork(
  host: Host,
  inPlace: InPlace | null,
  graph: Graph,
  weights: Weights,
  options: NetworkOptions,
): Network {
  const headOnly = options.trainable === 'head';
  checkWeights(graph, weights);
  const runner = createRunner(host, headOnly ? headAlone(graph) : graph, weights, (spec) => spec.trainable);
  const { plan, parameters, inTurn, afterNode } = runner;
  const frozen = headOnly ? createFrozenBackbone(host, graph, weights, runner) : null;
  const batchNorms = new Map(graph.nodes.flatMap((node) => (node.op === 'batchNorm2d' ? [[node.name, node]] : [])));
  const nodeIndex = new Map(graph.nodes.map((node, index) => [node.name, index]));
  /** Ends where the head begins; where that is trained too. */
  const backbone = planOf(backboneOf(graph), new Set());
  const optimiser = createOptimiser(options.optimiser);
  let hasState = false;
  /** A network that only answers keeps nothing for an optimiser. */
  const haveState = (): void => {
    if (!hasState) startState(parameters, optimiser.slots);
    hasState = true;
  };
  let step = 0;

  const inputOf = async (batch: TrainingBatch | ImageBatch): Promise<tf.Tensor> => {
    host.enter();
    return 'pictures' in batch ? augmentedInput(batch, afterNode) : uploaded(host, graph, batch);
  };
  /** What the runner's graph begins with: images, or what a frozen backbone gives for them. */
  const beginningOf = async (batch: TrainingBatch | ImageBatch): Promise<tf.Tensor> => {
    const images = await inputOf(batch);
    return frozen === null ? images : frozen.output(images);
  };

  /** Gradients of one part, or null where its loss isn't finite. */
  const differentiate = async (batch: TrainingBatch, part: number, scale: number) => {
    const x = await beginningOf(batch);
    const pass = await runner.forward(x, {
      training: true,
      record: true,
      uniform: (node) => random(options.seed, STREAMS.dropout, step, part * 4096 + nodeIndex.get(node)!).uniform,
    });
    try {
      const logits = (await pass.output.data()) as Float32Array;
      const { sum, gradient } = crossEntropy(logits, batch.labels, graph.classes, scale, options.loss);
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
    const { clipNorm } = options;
    const scale = clipNorm === null ? null : clipScale([...gradients.values()], clipNorm, inPlace);
    const move = optimiser.at(learningRate, step);
    for (const [name, gradient] of gradients) {
      updateParameter(parameters.all.get(name)!, gradient, move, scale, inPlace);
    }
    scale?.dispose();
    for (const { node, moments, count } of statistics) {
      const momentum = options.batchNormMomentum ?? (batchNorms.get(node) as BatchNorm2dNode).momentum;
      const mean = parameters.all.get(`${node}.running_mean`)!;
      const variance = parameters.all.get(`${node}.running_var`)!;
      // torch keeps the unbiased variance; one value a channel has none, and torch refuses it too.
      moveStatistics(mean, variance, moments, momentum, count / Math.max(1, count - 1), inPlace);
    }
  };

  return {
    graph,
    trainStep: (parts, learningRate) =>
      inTurn(async (): Promise<StepResult> => {
        const total = parts.reduce((sum, part) => sum + part.n, 0);
        if (total === 0) throw new Error('A step needs at least one image.');
        const weight = parts.reduce((sum, { labels }) => sum + weightOf(labels, options.loss), 0);
        const logits = new Float32Array(total * graph.classes);
        const gradients: Gradients = new Map();
        const statistics: Statistics[] = [];
        let sum = 0;
        let rows = 0;
        try {
          for (const [index, part] of parts.entries()) {
            const result = await differentiate(part, index, 1 / weight);
            logits.set(result.logits, rows * graph.classes);
            rows += part.n;
            sum += result.sum;
            if (!result.gradients) return { loss: Number.NaN, logits };
            statistics.push(...result.statistics);
            accumulate(gradients, result.gradients);
          }
          host.enter();
          haveState();
          update(gradients, statistics, learningRate);
          await host.settled();
          return { loss: sum / weight, logits };
        } finally {
          tf.dispose([...gradients.values(), ...statistics.map(({ moments }) => moments)]);
        }
      }),
    predict: (batch) => inTurn(async () => runner.outputOf(await beginningOf(batch))),
    features: (batch) =>
      inTurn(async () => {
        if (frozen === null) return runner.outputOf(await inputOf(batch), backbone);
        const features = await beginningOf(batch);
        try {
          return (await features.data()) as Float32Array;
        } finally {
          features.dispose();
        }
      }),
    readWeights: () => inTurn(async () => new Map([...(frozen?.readWeights() ?? []), ...(await parameters.read())])),
    writeWeights: (next) =>
      inTurn(async () => {
        host.enter();
        checkWeights(graph, next);
        parameters.write(next);
        frozen?.writeWeights(next);
      }),
    readOptimiser: () =>
      inTurn(async (): Promise<OptimiserState> => {
        host.enter();
        haveState();
        return { step, moments: await readState(parameters, optimiser.slots) };
      }),
    writeOptimiser: (state) =>
      inTurn(async () => {
        host.enter();
        haveState();
        writeState(parameters, optimiser.slots, state.moments);
        step = state.step;
      }),
    dispose: () => runner.dispose(() => frozen?.dispose()),
  };
}

/** The head with what it reads as its input, `[N,F]`. */
function headAlone(graph: Graph): Graph {
  const head = headOf(graph);
  const [name] = head.inputs as [string];
  return { ...graph, nodes: [{ op: 'input', name, inputs: [], channels: head.inFeatures }, head] };
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
