import type { OptimiserSettings } from './types.ts';

/** What an optimiser keeps of each trained parameter, under torch's names. Without any, its state is the number of steps alone. */
export function optimiserSlots(settings: OptimiserSettings): readonly string[] {
  if (settings.kind !== 'sgd') return ['exp_avg', 'exp_avg_sq'];
  return settings.momentum === 0 ? [] : ['momentum_buffer'];
}
