import type { Call } from '../calls.ts';
import type { Memory } from '../memory.ts';

/** Every memory that a call speaks of, each once. */
export function memoriesOf(call: Call): Set<Memory> {
  const found = new Set<Memory>();
  const look = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if (isMemory(value)) found.add(value);
    else for (const part of Object.values(value)) look(part);
  };
  for (const field of Object.values(call)) look(field);
  return found;
}

function isMemory(value: object): value is Memory {
  return 'kind' in value && (value.kind === 'arena' || value.kind === 'kept') && 'floats' in value;
}
