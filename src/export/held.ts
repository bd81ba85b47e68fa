import type { ExportFormat, ExportInput } from './types.ts';

/** What is asked for, in a form that the format can hold: its usual precision and full weights where it knows nothing else. */
export function heldBy(format: ExportFormat, input: ExportInput): ExportInput {
  const [usual = 'float32'] = format.precisions;
  return {
    ...input,
    precision: format.precisions.includes(input.precision) ? input.precision : usual,
    weightStorage: format.weightStorages?.includes(input.weightStorage) ? input.weightStorage : 'full',
    makerOutput: input.makerOutput && format.makerOutput === true,
  };
}
