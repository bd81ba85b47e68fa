import type { Call, Partials } from '../calls.ts';
import type { KernelTraits, TraitsTable } from '../kernels.ts';
import { matrix } from '../memory.ts';
import type { PlannedCall } from './types.ts';

/** Calls as they are written, each with its scratch. */
export interface Draft {
  readonly calls: PlannedCall[];
  emit(call: Call): void;
  /** Partials for `call`, which doesn't have them yet; null where its kernel makes none. */
  partials(call: Call, rows: number, channels: number): Partials | null;
}

export function createDraft(traits: TraitsTable): Draft {
  const calls: PlannedCall[] = [];
  const traitsOf = (call: Call): KernelTraits<Call> => traits[call.kind] as KernelTraits<Call>;
  return {
    calls,
    emit(call) {
      const floats = traitsOf(call).scratch?.(call) ?? 0;
      const scratch = floats > 0 ? matrix(`${call.node} scratch`, 1, Math.ceil(floats / 4) * 4) : null;
      calls.push({ call, scratch });
    },
    partials(call, rows, channels) {
      const tileRows = traitsOf(call).tileRows?.(call);
      if (tileRows === undefined) return null;
      const tiles = Math.ceil(rows / tileRows);
      return { matrix: matrix(`${call.node} ${call.kind} partials`, 2 * tiles, channels), tiles, tileRows };
    },
  };
}
