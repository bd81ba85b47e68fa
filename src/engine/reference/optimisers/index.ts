import type { OptimiserSettings } from '../../types.ts';
import { adam } from './adam.ts';
import { sgd } from './sgd.ts';
import type { Optimiser } from './types.ts';

export function createOptimiser(settings: OptimiserSettings): Optimiser {
  switch (settings.kind) {
    case 'adam':
    case 'adamw':
      return adam(settings);
    case 'sgd':
      return sgd(settings);
  }
}
