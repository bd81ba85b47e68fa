import { accuracyOf, argmaxRows, classMetrics, confusionMatrix, macro } from '../../evaluation/metrics.ts';
import type { EvaluationReport } from '../../evaluation/types.ts';
import type { EpochMetrics, EpochRecord } from '../events.ts';
import type { Emit } from '../emit.ts';
import type { Handler } from '../trainer.ts';
import type { Pace } from './pace.ts';

/** What is known of a run's epochs so far; grows as they end. */
export interface Progress {
  history: EpochRecord[];
  bestEpoch: number | null;
  /** Of the newest epoch's logits, fitted on validation; undefined where nothing validates. */
  temperature: number | undefined;
}

export interface MetricsOptions {
  readonly emit: Emit;
  readonly pace: Pace;
  readonly progress: Progress;
  readonly classes: readonly string[];
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  readonly learningRate: number;
  /** Steps are told at most this often, ms; 0: all of them. */
  readonly tellEvery: number;
  /** Evaluates the validation split; null where there is none. */
  readonly validate: (() => Promise<EvaluationReport>) | null;
}

/**
 * Per step: loss, share right, rates. Per epoch: the means over what was trained on (in train mode, as each batch went by),
 * the validation split, and whether this epoch is the best: lowest validation loss, or the newest where there is no validation.
 */
export function metrics(options: MetricsOptions): Handler {
  const { emit, pace, progress, classes, stepsPerEpoch, epochs } = options;
  let truth: number[] = [];
  let predicted: number[] = [];
  let loss = 0;
  let started = 0;
  let told = -Infinity;
  let hasForecast = false;
  const forecast = (step: number): void => {
    const seconds = hasForecast ? null : pace.epoch(stepsPerEpoch);
    // Where epochs take milliseconds, and once one is over, there is nothing to forecast.
    if (seconds === null || options.tellEvery > 0 || step === stepsPerEpoch) return;
    hasForecast = true;
    emit({ type: 'forecast', secondsPerEpoch: seconds });
  };
  return {
    epochStarted: (epoch) => {
      truth = [];
      predicted = [];
      loss = 0;
      started = performance.now();
      emit({ type: 'epochStarted', epoch });
    },
    stepEnded: ({ epoch, step, batch, seconds, ...result }) => {
      // In float16 a step may say nothing of its batch.
      if (result.skipped && !Number.isFinite(result.loss)) return pace.step(seconds, batch.n);
      const guesses = argmaxRows(result.logits, classes.length);
      let right = 0;
      for (let i = 0; i < batch.n; i++) {
        if (guesses[i] === batch.labels[i]) right += 1;
        truth.push(batch.labels[i] as number);
        predicted.push(guesses[i] as number);
      }
      loss += result.loss * batch.n;
      pace.step(seconds, batch.n);
      forecast(step);
      if (performance.now() - told < options.tellEvery) return;
      told = performance.now();
      emit({
        type: 'step',
        epoch,
        step,
        loss: result.loss,
        accuracy: right / batch.n,
        learningRate: options.learningRate,
        secondsPerStep: pace.secondsPerStep,
        imagesPerSecond: pace.imagesPerSecond,
        etaSeconds: pace.eta((epochs - epoch + 1) * stepsPerEpoch - step, epochs - epoch + 1),
      });
    },
    epochEnded: async (epoch) => {
      hasForecast = true;
      const confusion = confusionMatrix(truth, predicted, classes.length);
      const perClass = classMetrics(confusion, classes);
      const train: EpochMetrics = {
        n: truth.length,
        loss: loss / truth.length,
        accuracy: accuracyOf(confusion),
        precision: macro(perClass.map((one) => one.precision)),
      };
      let validation: EpochMetrics | null = null;
      if (options.validate !== null) {
        const from = performance.now();
        const report = await options.validate();
        pace.validation((performance.now() - from) / 1000);
        progress.temperature = report.temperature;
        validation = { n: report.n, loss: report.loss, accuracy: report.accuracy, precision: report.precision };
      }
      const best = isBest(validation, progress);
      if (best) progress.bestEpoch = epoch;
      const record: EpochRecord = { epoch, train, validation, seconds: (performance.now() - started) / 1000, best };
      progress.history = [...progress.history, record];
      emit({ type: 'epochEnded', ...record });
    },
  };
}

/** Compared with the best epoch whose weights are kept: of one that was opened from a file, others may have been better. */
function isBest(validation: EpochMetrics | null, { history, bestEpoch }: Progress): boolean {
  if (validation === null) return true;
  if (!Number.isFinite(validation.loss)) return history.length === 0;
  const best = history.find(({ epoch }) => epoch === bestEpoch)?.validation ?? null;
  return best === null || !(best.loss <= validation.loss);
}
