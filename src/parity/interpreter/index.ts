import { ImpossibleOperationError } from '../errors.ts';
import { pauses, type Pause } from '../pauses.ts';
import type { Operation, ParsedModel, Tensor } from '../types.ts';
import { concat, transpose } from './arrangement.ts';
import { convolution } from './convolution.ts';
import { binary, unary } from './elementwise.ts';
import { roundToFloat16 } from './float16.ts';
import { pool } from './pooling.ts';
import { batchNorm, linear, mean, softmax } from './reductions.ts';
import { checkSize, costOf, shapeOf, wholeAxis } from './shapes.ts';
import type { Work } from './work.ts';

interface RunOptions {
  /** Called about every 30 ms: a worker answers its messages meanwhile. */
  readonly between?: Pause | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Share of the work for this image, 0–1; as often as `between`. */
  readonly onProgress?: (share: number) => void;
}

interface RunResult {
  /** `[classes]`, in the order of `model.labels`. */
  readonly probabilities: Float32Array;
  /** `[makers]`, in the order of `model.makers.names`. */
  readonly makers: Float32Array | null;
  /** The first operation with a number in its output that is infinite or none: too large for float16, say. */
  readonly notFinite: string | null;
}

export interface Interpreter {
  /** `pixels`: `[height, width, 3]`, RGB 0–255. Throws the signal's reason once it is aborted. */
  run(pixels: ArrayLike<number>, options?: RunOptions): Promise<RunResult>;
}

/**
 * Runs a model from what its file says alone, in plain arithmetic: each output is made with sums in float64, held in float32, and rounded
 * to float16 where the file says so. Throws `ImpossibleOperationError` at once where names or shapes don't fit.
 */
export function interpreter(model: ParsedModel): Interpreter {
  const plan = planned(model);
  return {
    async run(pixels, { between, signal, onProgress } = {}) {
      const values = new Map<string, Tensor>([[model.input.name, inputOf(model, pixels)]]);
      const valueOf = (name: string) => (values.get(name) ?? model.constants.get(name))!;
      let notFinite: string | null = null;
      let done = 0;
      const turn = pauses(async () => {
        onProgress?.(Math.min(1, done / plan.cost));
        await between?.();
      }, signal);

      signal?.throwIfAborted();
      for (const [index, op] of model.operations.entries()) {
        const step = plan.steps[index]!;
        const work = carryOut(op, valueOf, step.shape);
        let result = work.next();
        while (result.done !== true) {
          done += result.value;
          await turn();
          result = work.next();
        }
        const { data } = result.value;
        if (op.rounding === 'float16') roundToFloat16(data);
        if (notFinite === null && !allFinite(data)) notFinite = op.name;
        values.set(op.name, { shape: step.shape, data });
        for (const name of step.lastReads) values.delete(name);
        done = step.doneAfter;
        await turn();
      }
      onProgress?.(1);
      return {
        probabilities: valueOf(model.probabilities).data,
        makers: model.makers === null ? null : valueOf(model.makers.probabilities).data,
        notFinite,
      };
    },
  };
}

/** `[1,3,H,W]`, 0–255, the channels in the order that the file wants. */
function inputOf({ input }: ParsedModel, pixels: ArrayLike<number>): Tensor {
  const size = input.width * input.height;
  if (pixels.length !== 3 * size)
    throw new ImpossibleOperationError(
      input.name,
      `it takes ${input.width} × ${input.height} pixels, and ${pixels.length / 3} came`,
    );
  const data = new Float32Array(3 * size);
  for (let c = 0; c < 3; c++) {
    const from = input.colors === 'RGB' ? c : 2 - c;
    for (let i = 0; i < size; i++) data[c * size + i] = pixels[3 * i + from]!;
  }
  return { shape: [1, 3, input.height, input.width], data };
}

interface Plan {
  readonly cost: number;
  readonly steps: readonly {
    readonly shape: readonly number[];
    /** What no later operation reads. */
    readonly lastReads: readonly string[];
    readonly doneAfter: number;
  }[];
}

function planned(model: ParsedModel): Plan {
  const shapes = new Map<string, readonly number[]>([
    [model.input.name, [1, 3, model.input.height, model.input.width]],
  ]);
  const lastReader = new Map<string, number>();
  let cost = 0;
  const steps = model.operations.map((op, index) => {
    const of = (name: string) => {
      const shape = shapes.get(name) ?? model.constants.get(name)?.shape;
      if (shape === undefined) throw new ImpossibleOperationError(op.name, `nothing before it is called “${name}”`);
      return shape;
    };
    if (shapes.has(op.name) || model.constants.has(op.name))
      throw new ImpossibleOperationError(op.name, 'there are two things of this name');
    const shape = shapeOf(op, of);
    checkSize(op, shape);
    for (const name of readsOf(op)) lastReader.set(name, index);
    cost += costOf(op, of, shape);
    shapes.set(op.name, shape);
    return { shape, doneAfter: cost };
  });
  const kept = new Set([model.probabilities, model.makers?.probabilities]);
  checkOutput(shapes, model.probabilities, model.labels.length);
  if (model.makers !== null) checkOutput(shapes, model.makers.probabilities, model.makers.names.length);
  return {
    cost,
    steps: steps.map((step, index) => ({
      ...step,
      lastReads: readsOf(model.operations[index]!).filter((name) => lastReader.get(name) === index && !kept.has(name)),
    })),
  };
}

function checkOutput(shapes: ReadonlyMap<string, readonly number[]>, name: string, count: number): void {
  const shape = shapes.get(name);
  if (shape === undefined) throw new ImpossibleOperationError(name, 'it is the output, and nothing makes it');
  if (shape.join() !== `1,${count}`)
    throw new ImpossibleOperationError(name, `it is the output, [${shape.join(', ')}], for ${count} names`);
}

function readsOf(op: Operation): readonly string[] {
  switch (op.kind) {
    case 'concat':
      return op.inputs;
    case 'conv':
    case 'linear':
      return [op.x, op.weight, ...(op.bias === null ? [] : [op.bias])];
    case 'batchNorm':
      return [op.x, op.mean, op.variance, op.gamma, op.beta].filter((name) => name !== null);
    default:
      return 'y' in op ? [op.x, op.y] : [op.x];
  }
}

function carryOut(op: Operation, of: (name: string) => Tensor, shape: readonly number[]): Work {
  const orNull = (name: string | null) => (name === null ? null : of(name));
  switch (op.kind) {
    case 'conv':
      return convolution(op, of(op.x), of(op.weight), orNull(op.bias), shape);
    case 'linear':
      return linear(of(op.x), of(op.weight), orNull(op.bias));
    case 'maxPool':
    case 'avgPool':
      return pool(op, of(op.x), shape);
    default:
      return atOnce(op, of, shape);
  }
}

// eslint-disable-next-line require-yield
function* atOnce(
  op: Exclude<Operation, { kind: 'conv' | 'linear' | 'maxPool' | 'avgPool' }>,
  of: (name: string) => Tensor,
  shape: readonly number[],
): Work {
  const orNull = (name: string | null) => (name === null ? null : of(name));
  switch (op.kind) {
    case 'batchNorm':
      return batchNorm(op.epsilon, of(op.x), {
        mean: of(op.mean),
        variance: of(op.variance),
        gamma: orNull(op.gamma),
        beta: orNull(op.beta),
      });
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
    case 'max':
    case 'min':
      return binary(op.kind, of(op.x), of(op.y), shape);
    case 'relu':
    case 'identity':
    case 'clip':
    case 'hardSigmoid':
    case 'threshold':
      return unary(op, of(op.x));
    case 'mean': {
      const x = of(op.x);
      return mean(
        op.axes.map((axis) => wholeAxis(op, axis, x.shape.length)),
        x,
        shape,
      );
    }
    case 'softmax':
      return softmax(wholeAxis(op, op.axis, shape.length), of(op.x));
    case 'reshape':
      return { shape, data: of(op.x).data.slice() };
    case 'transpose':
      return transpose(
        op.order.map((axis) => wholeAxis(op, axis, shape.length)),
        of(op.x),
        shape,
      );
    case 'concat':
      return concat(wholeAxis(op, op.axis, shape.length), op.inputs.map(of), shape);
  }
}

function allFinite(values: Float32Array): boolean {
  // Infinities and NaN are what is no number times zero; one sum tells it of them all.
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0;
  return sum === 0;
}
