import type { Split } from '../../../workers/protocol.ts';

/** As the folders are named. */
export function splitName(split: Split | null): string {
  return split === null ? 'no split yet' : { train: 'Train', val: 'Val', test: 'Test' }[split];
}
