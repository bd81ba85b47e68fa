import { optimiserSlots } from '../engine/optimiserSlots.ts';
import type { OptimiserSettings } from '../engine/types.ts';
import type { TrainingSettings } from './settings.ts';

export type OptimiserChoice = Pick<TrainingSettings, 'optimizer' | 'weight_decay' | 'momentum' | 'nesterov'>;

/** With torch's defaults for what the configuration doesn't say. */
export function optimiserOf({ optimizer, weight_decay, momentum, nesterov }: OptimiserChoice): OptimiserSettings {
  return optimizer === 'sgd'
    ? { kind: 'sgd', momentum, nesterov, weightDecay: weight_decay }
    : { kind: optimizer, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: weight_decay };
}

/** What it keeps of each trained parameter, in a checkpoint and on the device. */
export function slotsOf(training: OptimiserChoice): readonly string[] {
  return optimiserSlots(optimiserOf(training));
}

export const optimiserNames: Readonly<Record<TrainingSettings['optimizer'], string>> = {
  adam: 'Adam',
  adamw: 'AdamW',
  sgd: 'SGD',
};
