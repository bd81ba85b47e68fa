import { sizesOf } from '../dataset/split.ts';
import type { Dataset, ImageSource } from '../dataset/types.ts';
import { DeviceLostError } from '../engine/errors.ts';
import type { Engine, Network, NetworkOptions } from '../engine/types.ts';
import { evaluate } from '../evaluation/evaluate.ts';
import type { EvaluationReport } from '../evaluation/types.ts';
import { batchNormEpsOf, withBatchNormEps } from '../graph/batchNormEps.ts';
import type { Graph } from '../graph/types.ts';
import { partMomentum } from './batches.ts';
import { cachedHead } from './cachedHead.ts';
import type { Control } from './control.ts';
import { trainEpochs } from './epochs.ts';
import { readCheckpoint } from './checkpoint.ts';
import type { Emit } from './emit.ts';
import { NoCheckpointError, StoppedBeforeFirstStepError } from './errors.ts';
import { lesserFit, planFit } from './memory.ts';
import { fallbackInWords, precisionOn } from './precision.ts';
import { optimiserNames, optimiserOf, slotsOf } from './optimiser.ts';
import type { Attempt, RunInputs } from './inputs.ts';
import { cachedViews, MIN_PART } from './settings.ts';
import { Suspended, unlessSuspended } from './suspended.ts';
import type { Labelled } from './trainer.ts';
import { cutsOfRun } from './tuning.ts';
import type { Checkpoint, RunConfig } from './types.ts';
import type { Way } from './way.ts';
import { wholeNetwork } from './wholeNetwork.ts';

/**
 * One device's worth of a run: from the checkpoint (or the beginning) to the Test split, which a suspended run leaves sealed.
 * Throws `DeviceLostError`, `StoppedBeforeFirstStepError`.
 */
export async function attemptRun(attempt: Attempt): Promise<'completed' | 'stopped'> {
  attempt.emit({ type: 'progress', what: 'device', done: 0, total: null });
  const engine = await attempt.openEngine(attempt.began);
  let over = false;
  // What still trickles in from a device that is gone must not reach the log.
  const emit: Emit = (event) => {
    if (!over) attempt.emit(event);
  };
  try {
    emit({ type: 'deviceReady', adapter: engine.adapter });
    engine.onPreparing((done, total) => emit({ type: 'progress', what: 'kernels', done, total }));
    const gone = engine.lost.then((reason): never => {
      throw new DeviceLostError(reason);
    });
    gone.catch(() => undefined);
    return await Promise.race([trainAndTest({ ...attempt, emit, isOver: () => over }, engine), gone]);
  } finally {
    over = true;
    await engine.dispose();
  }
}

async function trainAndTest(
  attempt: Attempt & { readonly isOver: () => boolean },
  engine: Engine,
): Promise<'completed' | 'stopped'> {
  const { emit, from, split, control, store } = attempt;
  const { config } = attempt.record();
  const { training, data } = config;

  const first = from ?? (await firstWeights(attempt));
  const graph = withBatchNormEps(attempt.graph, first.batchNormEps);
  // A stop before anything was learnt leaves nothing to keep or to judge.
  if (control.stopping && from === null) throw new StoppedBeforeFirstStepError();
  if (control.suspending) return 'stopped';
  /** Between steps and between batches of a pass: commands are heard. There is no time for what a suspension cuts off. */
  const gate: Control['gate'] = async (beforePause) => {
    const answer = await control.gate(beforePause);
    // The head alone would train on without the device, beside the attempt that takes up the run.
    if (attempt.isOver()) throw new DeviceLostError('this attempt is over');
    if (control.suspending) throw new Suspended();
    return answer;
  };
  const wanted = { graph, size: data.img_size, batchSize: data.batch_size, training };
  const { settled } = attempt;
  const plan = planFit(engine, wanted, settled.part);
  const fit = { ...plan, recompute: settled.recompute ?? plan.recompute };
  attempt.planned(fit, () => lesserFit(engine, wanted, fit));
  const partSize = fit.part;
  const batchnormBatch = Math.min(partSize, data.batch_size);
  const cached = cachedViews(training) > 0;
  if (settled.recompute === null) {
    const text = fallbackInWords(engine.adapter, training);
    if (text !== null) emit({ type: 'notice', text });
  }
  // A run that goes on has said it; so has one that goes a step further after a refusal.
  if (settled.recompute === null && from === null && !cached) {
    if (fit.recompute) emit({ type: 'notice', text: RECOMPUTES });
    if (batchnormBatch < data.batch_size) {
      const reason = `Batches of ${data.batch_size} go through in parts of ${batchnormBatch} images; BatchNorm sees a part at a time.`;
      emit({ type: 'batchSplit', batchnormBatch, reason });
    }
  }
  // What a frozen backbone is asked once isn't worth a choice.
  const cuts = cached ? null : await cutsOfRun(engine, wanted, fit, from, attempt);
  if (control.stopping && from === null) throw new StoppedBeforeFirstStepError();
  const { loss } = attempt;
  const precision = precisionOn(engine.adapter, training);
  const { recompute } = fit;
  const options = { ...networkOptions(graph, config, batchnormBatch), loss, recompute, precision, cuts };
  const network = await engine.build(graph, first.weights, options);
  let optimiser: Checkpoint['optimiser'] | null = null;
  if (from !== null) {
    const bare = from.optimiser.moments.size === 0 && slotsOf(training).length > 0;
    if (!bare) optimiser = from.optimiser;
    const name = optimiserNames[training.optimizer];
    const warnings = bare ? [`The checkpoint has no state of the optimiser: ${name} starts anew.`] : [];
    emit({ type: 'weightsReady', origin: { kind: 'checkpoint', epoch: from.epoch }, warnings });
  }

  control.onPause = () => emit({ type: 'paused' });
  control.onContinue = () => emit({ type: 'continued' });
  const judge = (which: 'val' | 'test', temperature: number | 'fit'): Promise<EvaluationReport> =>
    judgeSplit(network, which, temperature, { ...attempt, config, gate, partSize });
  const firstEpoch = (from?.epoch ?? 0) + 1;
  const trainBy = <Batch extends Labelled>(way: Way<Batch>): Promise<'completed' | 'stopped' | null> =>
    trainEpochs(way, firstEpoch, gate, attempt, {
      architecture: graph.architecture,
      batchNormEps: batchNormEpsOf(graph),
      origin: 'origin' in first ? first.origin : { kind: 'checkpoint', epoch: 0 },
      batchnormBatch,
      ...(cuts && { cuts }),
      counts: sizesOf(split),
    });
  const throughNetwork = async (): Promise<'completed' | 'stopped' | null> => {
    if (optimiser !== null) await network.writeOptimiser(optimiser);
    emit({ type: 'progress', what: 'first step', done: 0, total: 1 });
    return trainBy(wholeNetwork(network, partSize, () => judge('val', 'fit'), attempt, config));
  };
  const byTheHead = async (): Promise<'completed' | 'stopped' | null> => {
    const { weights } = first;
    const way = await unlessSuspended(
      cachedHead({
        ...attempt,
        config,
        network,
        engine,
        weights,
        optimiser,
        options,
        firstEpoch,
        partSize: batchnormBatch,
        gate,
      }),
    );
    if (way === 'unfit') {
      emit({ type: 'notice', text: UNFIT });
      return throughNetwork();
    }
    if (way === 'stopped' && from === null) throw new StoppedBeforeFirstStepError();
    return way === 'stopped' || way === null ? way : trainBy(way);
  };

  if (attempt.profile && cached) emit({ type: 'stepProfiled', step: 0, times: null });
  const reason = await (cached && firstEpoch <= training.epochs ? byTheHead() : throughNetwork());
  // An epoch that was cut off is trained anew by the run that goes on: it becomes what it would have been.
  if (control.suspending && attempt.record().latestEpoch === null) throw new StoppedBeforeFirstStepError('epoch');
  if (reason === null || control.suspending) return 'stopped';
  const best = await store.readCheckpoint(attempt.record().id, 'best');
  if (best === undefined) throw new NoCheckpointError();
  if (split.test.length > 0) {
    const { epoch, weights, temperature = 1 } = readCheckpoint(best);
    await network.writeWeights(weights);
    const report = await unlessSuspended(judge('test', temperature));
    if (report === null) return 'stopped';
    emit({ type: 'testEvaluated', epoch, report });
  } else {
    emit({
      type: 'notice',
      text: 'The data set has no Test split: the model was judged on the validation split alone.',
    });
  }
  network.dispose();
  return reason;
}

const RECOMPUTES =
  'With all that a training step keeps for its way back, a batch would not fit into the memory of the graphics processor. Some of it is ' +
  'computed twice instead: steps take longer, and the numbers are the same.';

const UNFIT =
  'What the backbone gives for these images cannot be kept in half precision (beyond 65,504, or not a number): every epoch goes ' +
  'through the whole network, as with training.cached_views: 0.';

async function firstWeights({ firstWeights, emit, control }: Attempt) {
  emit({ type: 'progress', what: 'weights', done: 0, total: null });
  const first = await firstWeights(
    (done, total, more) => emit({ type: 'progress', what: 'weights', done, total, ...more }),
    control.signal,
  );
  emit({ type: 'weightsReady', origin: first.origin, warnings: first.warnings });
  return first;
}

/** Torch's optimiser; BatchNorm's momentum as the configuration or the architecture says, adapted to the parts of a batch. */
export function networkOptions(graph: Graph, config: RunConfig, partSize: number): NetworkOptions {
  const own = graph.nodes.find((node) => node.op === 'batchNorm2d')?.momentum ?? 0.1;
  const momentum = config.training.batchnorm_momentum ?? own;
  const split = partSize < config.data.batch_size;
  return {
    trainable: config.training.layers,
    optimiser: optimiserOf(config.training),
    clipNorm: config.training.clip_norm,
    batchNormMomentum: split
      ? partMomentum(momentum, config.data.batch_size, partSize)
      : config.training.batchnorm_momentum,
    seed: config.training.seed,
  };
}

/**
 * Images that go through at once where a run of batches in parts of `partSize` is judged. Where training has no room for more, judging has
 * none; parts that the settings make smaller are no such sign.
 */
export function judgedAtOnce(batchSize: number, partSize: number): number {
  return Math.min(batchSize, Math.max(partSize, MIN_PART), 32);
}

function judgeSplit(
  network: Network,
  which: 'val' | 'test',
  temperature: number | 'fit',
  run: {
    readonly crops: ImageSource;
    readonly dataset: Dataset;
    readonly split: Attempt['split'];
    readonly config: RunConfig;
    readonly statistics: RunInputs['statistics'];
    readonly gate: () => Promise<unknown>;
    readonly partSize: number;
    readonly emit: Emit;
  },
): Promise<EvaluationReport> {
  const { data } = run.config;
  return evaluate(network, run.crops, run.split[which], run.dataset.images, run.dataset.classes, {
    split: which,
    size: data.img_size,
    ...run.statistics,
    batch: judgedAtOnce(data.batch_size, run.partSize),
    temperature,
    onProgress: (done, total) => run.emit({ type: 'evaluating', split: which, done, total }),
    // A stop ends the run after this pass, so that what is kept is judged.
    between: async () => void (await run.gate()),
  });
}
