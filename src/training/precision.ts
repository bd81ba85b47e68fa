import { hasFloat16 } from '../engine/adapter.ts';
import type { AdapterReport, Precision } from '../engine/types.ts';
import type { TrainingSettings } from './settings.ts';

/** In which a run's maps lie on this device: float32 where it has no float16. */
export function precisionOn(
  adapter: Pick<AdapterReport, 'backend' | 'features'>,
  { precision }: Pick<TrainingSettings, 'precision'>,
): Precision {
  return precision === 'float16' && hasFloat16(adapter) ? 'float16' : 'float32';
}

/** Why a run that asks for float16 trains in float32; null where it doesn't. */
export function fallbackInWords(adapter: AdapterReport, training: Pick<TrainingSettings, 'precision'>): string | null {
  if (training.precision === precisionOn(adapter, training)) return null;
  return `training.precision is float16, which ${adapter.label} cannot do: this run trains in float32, which takes up to twice the memory.`;
}
