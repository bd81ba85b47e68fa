import { headOf } from '../graph/head.ts';
import { parametersOfNode, sizeOf } from '../graph/parameters.ts';
import type { Graph, Tensor, Weights } from '../graph/types.ts';
import { crossEntropy, weightOf } from './reference/loss.ts';
import { createOptimiser } from './reference/optimisers/index.ts';
import { CLIP_EPSILON } from './reference/update.ts';
import type { NetworkOptions, OptimiserState, StepResult } from './types.ts';

/** The head alone, trained on what a frozen backbone gave (`Network.features`). */
export interface Head {
  /**
   * Forward, softmax cross-entropy, backward, update, as `Network.trainStep` with `trainable: 'head'`: the same numbers but for
   * rounding. `features`: `[n, F]`, `labels`: n class indices. A loss of NaN is returned and makes no update.
   */
  step(features: Float32Array, labels: Int32Array, learningRate: number): StepResult;
  /** `[n, classes]` of `[n, F]`. */
  logits(features: Float32Array): Float32Array;
  /** Of the head, in torch's layout; a copy. */
  readWeights(): Weights;
  readOptimiser(): OptimiserState;
  /** Throws where something of the head is missing or has another shape. */
  writeOptimiser(state: OptimiserState): void;
}

/**
 * A linear layer on the processor, in plain TypeScript: at [n, F] × [F, classes] a device would spend its time on being asked. Sums are
 * made in double precision, in an order that never varies, and rounded once: the same bits in every engine of JavaScript.
 * `weights`: those of the network, of which the head's are copied. Throws where they are missing or have another shape.
 */
export function createHead(
  graph: Graph,
  weights: Weights,
  options: Pick<NetworkOptions, 'optimiser' | 'clipNorm' | 'loss'>,
): Head {
  const node = headOf(graph);
  const { inFeatures: width, outFeatures: classes } = node;
  const optimiser = createOptimiser(options.optimiser);
  const parameters = parametersOfNode(node).map(({ name, shape, kind }) => ({
    name,
    shape,
    kind,
    value: copied(weights, name, shape),
    gradient: new Float32Array(sizeOf(shape)),
    state: optimiser.slots.map((): Float32Array => new Float32Array(sizeOf(shape))),
  }));
  const weight = parameters.find(({ kind }) => kind === 'weight')!;
  const bias = parameters.find(({ kind }) => kind === 'bias');
  let step = 0;

  const logitsOf = (rows: Float64Array): Float32Array => {
    const n = rowsOf(rows, width);
    const logits = new Float32Array(n * classes);
    const w = doubles(weight.value);
    for (let i = 0; i < n; i++) {
      const from = i * width;
      for (let c = 0; c < classes; c++) {
        const along = c * width;
        // Four sums side by side: one would wait for itself.
        let s0: number = bias ? bias.value[c]! : 0;
        let s1 = 0;
        let s2 = 0;
        let s3 = 0;
        let f = 0;
        for (; f + 3 < width; f += 4) {
          s0 += rows[from + f]! * w[along + f]!;
          s1 += rows[from + f + 1]! * w[along + f + 1]!;
          s2 += rows[from + f + 2]! * w[along + f + 2]!;
          s3 += rows[from + f + 3]! * w[along + f + 3]!;
        }
        for (; f < width; f++) s0 += rows[from + f]! * w[along + f]!;
        logits[i * classes + c] = s0 + s1 + (s2 + s3);
      }
    }
    return logits;
  };

  /** Into the parameters' gradients. `slopes` `[n, classes]`: of the logits. */
  const differentiate = (rows: Float64Array, slopes: Float32Array): void => {
    const n = rowsOf(rows, width);
    const sums = new Float64Array(width);
    for (let c = 0; c < classes; c++) {
      sums.fill(0);
      let total = 0;
      let row = 0;
      // Two images at once halve what is read and written of the sums.
      for (; row + 1 < n; row += 2) {
        const [one, two] = [slopes[row * classes + c]!, slopes[(row + 1) * classes + c]!];
        const [from, next] = [row * width, (row + 1) * width];
        total += one + two;
        for (let f = 0; f < width; f++) sums[f] = sums[f]! + (one * rows[from + f]! + two * rows[next + f]!);
      }
      if (row < n) {
        const slope = slopes[row * classes + c]!;
        total += slope;
        for (let f = 0; f < width; f++) sums[f] = sums[f]! + slope * rows[row * width + f]!;
      }
      weight.gradient.set(sums, c * width);
      if (bias) bias.gradient[c] = total;
    }
  };

  /** What clipping leaves of the gradients. */
  const scale = (): number => {
    if (options.clipNorm === null) return 1;
    let squares = 0;
    for (const { gradient } of parameters) for (const slope of gradient) squares += slope * slope;
    return Math.min(1, options.clipNorm / (Math.sqrt(squares) + CLIP_EPSILON));
  };

  return {
    step(features, labels, learningRate) {
      const rows = doubles(features);
      const logits = logitsOf(rows);
      const n = labels.length;
      if (n === 0 || logits.length !== n * classes) throw new Error(`${n} labels for ${logits.length} logits.`);
      const weight = weightOf(labels, options.loss);
      const { sum, gradient } = crossEntropy(logits, labels, classes, 1 / weight, options.loss);
      if (!Number.isFinite(sum)) return { loss: Number.NaN, logits };
      differentiate(rows, gradient);
      step += 1;
      const update = optimiser.at(learningRate, step);
      const kept = scale();
      for (const { value, gradient: own, state } of parameters) update.onProcessor(value, own, state, kept);
      return { loss: sum / weight, logits };
    },
    logits: (features) => logitsOf(doubles(features)),
    readWeights: () => new Map(parameters.map(({ name, shape, value }) => [name, { shape, data: value.slice() }])),
    readOptimiser: () => ({
      step,
      moments: new Map(
        parameters.flatMap(({ name, shape, state }) =>
          state.map((data, i): [string, Tensor] => [`${name}.${optimiser.slots[i]!}`, { shape, data: data.slice() }]),
        ),
      ),
    }),
    writeOptimiser(stored) {
      const next = parameters.map(({ name, shape }) =>
        optimiser.slots.map((slot) => copied(stored.moments, `${name}.${slot}`, shape)),
      );
      parameters.forEach((parameter, i) => (parameter.state = next[i]!));
      step = stored.step;
    },
  };
}

/** As doubles, one conversion for each number instead of one for each product: they are the same, and exact. */
function doubles(values: Float32Array): Float64Array {
  const result = new Float64Array(values.length);
  result.set(values);
  return result;
}

function rowsOf(features: Float64Array, width: number): number {
  if (features.length % width !== 0) throw new Error(`${features.length} numbers are no rows of ${width}.`);
  return features.length / width;
}

function copied(weights: Weights, name: string, shape: readonly number[]): Float32Array {
  const tensor = weights.get(name);
  if (!tensor) throw new Error(`The weights lack ${name}.`);
  if (tensor.shape.join() !== shape.join())
    throw new Error(`${name} has shape [${tensor.shape.join()}], the head expects [${shape.join()}].`);
  return tensor.data.slice();
}
