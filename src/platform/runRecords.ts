import { withLaterSettings } from '../training/settings.ts';
import type { RunRecord } from '../training/types.ts';
import { recordsOf } from './records.ts';

/** Apart from the other records: settings bring zod with them, and the page's first view waits for the list of data sets alone. */
export const runRecords = recordsOf<RunRecord>('run', [
  // 2: configurations have the optimiser's settings; a page that lacks them would go on with Adam, whatever they say.
  (first) => ({ ...first, schema: 2, config: withLaterSettings(first['config'] as RunRecord['config']) }),
  // 3: `training.cached_views`; a page that lacks it would go on with a new augmentation in every epoch.
  (second) => ({ ...second, schema: 3, config: withLaterSettings(second['config'] as RunRecord['config']) }),
  // 4: label smoothing, class weights and float16; a page that lacks them would go on with a plain loss in float32.
  (third) => ({ ...third, schema: 4, config: withLaterSettings(third['config'] as RunRecord['config']) }),
]);
