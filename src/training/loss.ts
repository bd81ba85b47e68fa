import type { Dataset } from '../dataset/types.ts';
import type { LossSettings } from '../engine/types.ts';
import { balancedWeights } from './balancedWeights.ts';
import { UnknownClassesError } from './errors.ts';
import type { TrainingSettings } from './settings.ts';

type LossChoice = Pick<TrainingSettings, 'label_smoothing' | 'class_weights'>;

/**
 * What `training.label_smoothing` and `training.class_weights` come to for a data set. `train`: images that are trained on, indices into it.
 * Throws `UnknownClassesError`.
 */
export function lossOf(
  { label_smoothing: smoothing, class_weights: chosen }: LossChoice,
  { classes, images }: Pick<Dataset, 'classes' | 'images'>,
  train: readonly number[],
): LossSettings {
  if (chosen === null) return { smoothing, classWeights: null };
  if (chosen === 'balanced') {
    const counts = classes.map(() => 0);
    for (const index of train) counts[images[index]!.label]! += 1;
    return { smoothing, classWeights: balancedWeights(counts) };
  }
  const unknown = Object.keys(chosen).filter((name) => !classes.includes(name));
  if (unknown.length > 0) throw new UnknownClassesError(unknown, classes);
  return { smoothing, classWeights: classes.map((name) => (Object.hasOwn(chosen, name) ? chosen[name]! : 1)) };
}

/** For the log of a run; null where its loss is plain cross-entropy. */
export function lossInWords(
  { class_weights: chosen }: LossChoice,
  { smoothing, classWeights }: LossSettings,
  classes: readonly string[],
): string | null {
  const said = smoothing > 0 ? [`label smoothing ${smoothing}`] : [];
  if (classWeights !== null) {
    const [least, most] = [Math.min(...classWeights), Math.max(...classWeights)];
    const at = (weight: number): string =>
      `${Number(weight.toPrecision(3))} (${classes[classWeights.indexOf(weight)]!})`;
    const which = chosen === 'balanced' ? 'balanced class weights' : 'class weights';
    said.push(least === most ? which : `${which}, from ${at(least)} to ${at(most)}`);
  }
  if (said.length === 0) return null;
  return `Trains with ${said.join(' and ')}. Validation and Test are judged by plain cross-entropy: their losses don’t compare with that of training.`;
}
