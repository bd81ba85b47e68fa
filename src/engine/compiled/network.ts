import type { Graph, Weights } from '../../graph/types.ts';
import { Float16RangeError } from '../errors.ts';
import { crossEntropy, weightOf } from '../reference/loss.ts';
import { createOptimiser } from '../reference/optimisers/index.ts';
import type {
  ImageBatch,
  Network,
  NetworkOptions,
  OptimiserState,
  StepProfile,
  StepResult,
  TrainingBatch,
} from '../types.ts';
import { STEP_WORDS } from './calls.ts';
import { createBuffers } from './device/buffers.ts';
import { prepare, type Command, type Commands, type encode } from './device/commands.ts';
import { createImages } from './device/images.ts';
import { createMasks } from './device/masks.ts';
import type { Pipelines } from './device/pipelines.ts';
import { createPlans, type PreparedPlan } from './device/plans.ts';
import { canProfile, createProfiler } from './device/profile.ts';
import { createSubmits } from './device/submits.ts';
import { createFlatStore } from './flatStore.ts';
import type { KernelTable } from './kernels.ts';
import { FIRST_LOSS_SCALE, lossScaleAfter, MOST_SKIPPED } from './lossScale.ts';
import { bytesOf, kept, type Memory } from './memory.ts';
import { flatLayout } from './plan/parameters.ts';
import { createTurns } from './turns.ts';
import { updateWorks } from './updateWorks.ts';

/** What a network asks of whoever owns the device. */
export interface CompiledHost {
  readonly device: GPUDevice;
  readonly pipelines: Pipelines;
  readonly kernels: KernelTable;
  /** An adapter that runs on the processor. */
  readonly software: boolean;
  /** Runs `work`; rejects where the device fails meanwhile. */
  guard<T>(work: () => Promise<T>): Promise<T>;
  /** Bytes that a network holds now. */
  holds(network: object, bytes: number): void;
}

/** What is known of a step once it was read. */
interface Outcome {
  /** A loss was not finite: nothing was updated. */
  readonly bad: boolean;
  readonly result: StepResult;
  /** In a row with this one, of float16; once it was taken note of. */
  skipped: number;
}

/** Operations a second before anything was measured: only for the first step's cutting into submits. */
const GUESS = { software: 1e9, hardware: 200e9 };

/**
 * A network on the compiled engine: a plan for each size of batch, weights and what the optimiser keeps in flat buffers. A step makes no
 * GPU object but the encoders of its submits.
 */
export async function createCompiledNetwork(
  host: CompiledHost,
  graph: Graph,
  weights: Weights,
  options: NetworkOptions,
): Promise<Network> {
  const { device, pipelines, kernels } = host;
  const headOnly = options.trainable === 'head';
  const precision = options.precision ?? 'float32';
  const scaled = precision === 'float16';
  const layout = flatLayout(graph, options.trainable);
  const buffers = createBuffers(device);
  const step: Memory = kept('step', STEP_WORDS.words);
  const optimiser = createOptimiser(options.optimiser);
  const classWeights = options.loss?.classWeights ? kept('class weights', graph.classes) : null;
  const slots = new Map(optimiser.slots.map((slot) => [slot, kept(slot, layout.trained.floats)]));
  const store = createFlatStore(device, buffers, layout);
  const images = createImages(device, pipelines, buffers);
  const plans = createPlans(device, pipelines, buffers, {
    graph,
    layout,
    kernels,
    step,
    trainable: options.trainable,
    recompute: options.recompute ?? false,
    precision,
    momentum: options.batchNormMomentum,
    smoothing: options.loss?.smoothing ?? 0,
    classWeights,
    onForgotten: (plan) => images.forget(plan),
  });
  const drawMasks = createMasks(device, buffers, graph, options.seed);
  const { trained, frozen, running, pending, gradients } = layout;
  await buffers.keep([trained, frozen, running, pending]);
  store.write(weights);
  let update: Commands | null = null;
  /** What only training needs comes with its first step: a network that is asked has neither gradients nor an optimiser. */
  const updateCommands = async (): Promise<readonly Command[]> => {
    await buffers.keep([gradients, ...slots.values()]);
    if (classWeights && update === null) {
      const values = Float32Array.from(options.loss!.classWeights!);
      device.queue.writeBuffer(buffers.keptPlace(classWeights).buffer, 0, values);
    }
    update ??= await prepare(
      device,
      pipelines,
      updateWorks(layout, optimiser, [...slots.values()], step, options.clipNorm, scaled),
      (memory) => buffers.keptPlace(memory),
    );
    return update.list;
  };

  const turns = createTurns((work) => host.guard(work));
  let disposed = false;
  /** Tables of eval mode are of older weights. */
  let stale = true;
  const submits = new Map<string, ReturnType<typeof createSubmits>>();
  const report = (): void => host.holds(result, disposed ? 0 : buffers.bytes);

  const submitsOf = (key: string, flops: number) => {
    let own = submits.get(key);
    if (!own) {
      const rate = host.software ? GUESS.software : GUESS.hardware;
      submits.set(key, (own = createSubmits(device, (flops / rate) * 1000)));
    }
    return own;
  };
  const onceIfStale = ({ once, plan }: PreparedPlan): readonly Command[] => {
    if (!stale || plan.once.length === 0) return [];
    stale = false;
    return once.list;
  };
  /** Copies a plan's output to the reader, from `at` on, bytes. */
  const copyOutput = ({ plan }: PreparedPlan, encoder: GPUCommandEncoder, reader: GPUBuffer, at: number): void => {
    const { matrix } = plan.output;
    const { buffer, offset } = buffers.placeIn(plan.arena)(matrix);
    encoder.copyBufferToBuffer(buffer, offset, reader, at, bytesOf(matrix));
  };
  /** `[images, outputChannels]` from what `copyOutput` has copied. */
  const outputOf = ({ plan }: PreparedPlan, copied: Float32Array): Float32Array => {
    const { output, outputChannels, images: n } = plan;
    const values = new Float32Array(n * outputChannels);
    for (let row = 0; row < n; row++) {
      const from = row * output.matrix.channels + output.first;
      values.set(copied.subarray(from, from + outputChannels), row * outputChannels);
    }
    return values;
  };
  const run = async (mode: 'predict' | 'features', batch: ImageBatch | TrainingBatch): Promise<Float32Array> => {
    if (batch.n === 0) return new Float32Array(0);
    const prepared = await plans.get(mode, batch.n, batch.size);
    const uploaded = await images.upload(batch, prepared.plan);
    const commands = [...onceIfStale(prepared), ...uploaded, ...prepared.commands.list];
    const bytes = bytesOf(prepared.plan.output.matrix);
    const reader = await buffers.reader(bytes);
    const own = submitsOf(`${mode} ${batch.n}`, prepared.flops);
    const begun = performance.now();
    own.run(commands, undefined, (encoder) => copyOutput(prepared, encoder, reader.buffer, 0));
    report();
    const copied = await reader.read(bytes);
    own.measured(performance.now() - begun);
    return outputOf(prepared, new Float32Array(copied));
  };

  /** Of the steps whose result is known. */
  let updates = 0;
  /** Likewise; of float16 alone. */
  let lossScale = FIRST_LOSS_SCALE;
  /** The device ignores steps until it is told that a bad one has been seen. */
  let sawBad = false;
  /** When the last step was read. */
  let read = -Infinity;
  /** As `Step.handOver`. */
  const handOver = async (
    parts: readonly TrainingBatch[],
    learningRate: number,
    unread: number,
    record?: typeof encode,
  ): Promise<() => Promise<Outcome>> => {
    // All of it before the first `await`: the step before may be read meanwhile.
    const made = updates + unread;
    const seesBad = sawBad && unread === 0;
    const { scale } = !scaled || unread === 0 ? lossScale : lossScaleAfter(lossScale, true);
    const total = parts.reduce((sum, part) => sum + part.n, 0);
    if (total === 0) throw new Error('A step needs at least one image.');
    // Before anything runs: half a step would leave running statistics half moved.
    for (const { labels } of parts) checkLabels(labels, graph.classes);
    // One plan may need a larger arena than another, which makes bind groups void: all are there before the first runs.
    for (const part of parts) await plans.get('train', part.n, part.size);
    const words = new Float32Array(STEP_WORDS.words);
    const weight = parts.reduce((sum, { labels }) => sum + weightOf(labels, options.loss), 0);
    words[STEP_WORDS.scale] = (scaled ? scale : 1) / weight;
    words[STEP_WORDS.unscale] = 1 / scale;
    words.set(optimiser.at(learningRate, made + 1).floats, STEP_WORDS.optimiser);
    const first = seesBad ? 0 : STEP_WORDS.bad + 1;
    if (seesBad) sawBad = false;
    device.queue.writeBuffer(buffers.keptPlace(step).buffer, 4 * first, words, first);

    const stepBytes = 4 * STEP_WORDS.words;
    const prepared: PreparedPlan[] = [];
    // One after the other: a plan that went with a smaller arena is made anew once.
    for (const part of parts) prepared.push(await plans.get('train', part.n, part.size));
    const offsets: number[] = [];
    let bytes = stepBytes;
    for (const { plan } of prepared) {
      offsets.push(bytes);
      bytes += bytesOf(plan.output.matrix);
    }
    const reader = await buffers.reader(bytes);
    const last = await updateCommands();
    const begun = performance.now();
    const flops = prepared.reduce((sum, one) => sum + one.flops, 0);
    const own = submitsOf(`train ${parts.map(({ n }) => n).join()}`, flops);
    for (const [index, part] of parts.entries()) {
      const one = prepared[index]!;
      device.queue.writeBuffer(buffers.keptPlace(one.plan.labels).buffer, 0, Int32Array.from(part.labels));
      drawMasks(one.plan, made, index);
      const isLast = index === parts.length - 1;
      const uploaded = await images.upload(part, one.plan);
      const commands = [...onceIfStale(one), ...uploaded, ...one.commands.list, ...(isLast ? last : [])];
      own.run(
        commands,
        (encoder) => {
          if (index === 0) encoder.clearBuffer(buffers.keptPlace(layout.gradients).buffer);
        },
        (encoder) => {
          copyOutput(one, encoder, reader.buffer, offsets[index]!);
          if (isLast) encoder.copyBufferToBuffer(buffers.keptPlace(step).buffer, 0, reader.buffer, 0, stepBytes);
        },
        record,
      );
    }
    report();
    if (!headOnly) stale = true;
    // Asked for at once: it waits for what was submitted before.
    const reading = reader.read(bytes);
    reading.catch(() => {});
    return async () => {
      const copy = await reading;
      const now = performance.now();
      // Until the step before was read, the device was busy with that.
      own.measured((now - Math.max(begun, read)) / parts.length);
      read = now;
      const logits = new Float32Array(total * graph.classes);
      let sum = 0;
      let rows = 0;
      for (const [index, part] of parts.entries()) {
        const one = outputOf(prepared[index]!, new Float32Array(copy, offsets[index]!));
        logits.set(one, rows * graph.classes);
        rows += part.n;
        sum += crossEntropy(one, part.labels, graph.classes, 1, options.loss).sum;
      }
      const bad = new Uint32Array(copy, 0, STEP_WORDS.words)[STEP_WORDS.bad] !== 0;
      if (scaled && bad) {
        const loss = Number.isFinite(sum) ? sum / weight : Number.NaN;
        return { bad, result: { loss, logits, skipped: true }, skipped: 0 };
      }
      return { bad, result: { loss: bad ? Number.NaN : sum / weight, logits }, skipped: 0 };
    };
  };

  const takeNote = (outcome: Outcome): 'good' | 'bad' => {
    const { bad } = outcome;
    if (bad) sawBad = true;
    else updates++;
    if (scaled) {
      lossScale = lossScaleAfter(lossScale, !bad);
      outcome.skipped = lossScale.skipped;
    }
    return bad ? 'bad' : 'good';
  };

  const profile = async (parts: readonly TrainingBatch[], learningRate: number): Promise<StepProfile> => {
    const profiler = createProfiler(device);
    try {
      const begun = performance.now();
      const made = await (await handOver(parts, learningRate, 0, profiler.record))();
      takeNote(made);
      const milliseconds = performance.now() - begun;
      return { ...resultOf(made), rows: await profiler.rows(), milliseconds };
    } finally {
      profiler.dispose();
    }
  };

  const result: Network = {
    graph,
    ahead: true,
    trainStep: async (parts, learningRate) => {
      const made = await turns.step({
        // What has yet to be made finds the memory of the steps before it free.
        mayGoAhead: () => update !== null && parts.every(({ n, size }) => plans.has('train', n, size)),
        handOver: (unread) => handOver(parts, learningRate, unread),
        takeNote,
      });
      return resultOf(made);
    },
    ...(canProfile(device)
      ? { profile: (parts, learningRate) => turns.alone(() => profile(parts, learningRate)) }
      : {}),
    predict: (batch) => turns.alone(() => run('predict', batch)),
    features: (batch) => turns.alone(() => run('features', batch)),
    readWeights: () => turns.alone(() => store.read().finally(report)),
    writeWeights: (next) =>
      turns.alone(async () => {
        store.write(next);
        stale = true;
      }),
    readOptimiser: () =>
      turns.alone(async (): Promise<OptimiserState> => ({
        step: updates,
        moments: await store.readSlots(slots).finally(report),
        ...(scaled && { lossScale }),
      })),
    writeOptimiser: (state) =>
      turns.alone(async () => {
        store.writeSlots(slots, state.moments);
        updates = state.step;
        lossScale = state.lossScale ?? FIRST_LOSS_SCALE;
      }),
    dispose() {
      if (disposed) return;
      disposed = true;
      turns.close(() => {
        plans.dispose();
        update?.dispose();
        buffers.dispose();
        report();
      });
    },
  };
  return result;
}

function resultOf({ skipped, result }: Outcome): StepResult {
  if (skipped >= MOST_SKIPPED) throw new Float16RangeError(skipped);
  return result;
}

function checkLabels(labels: Int32Array, classes: number): void {
  for (const label of labels) {
    if (!(label >= 0 && label < classes)) throw new Error(`Label ${label} is outside 0–${classes - 1}.`);
  }
}
