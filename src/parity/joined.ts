import type { Pause } from './pauses.ts';

/** All parts in one. */
export async function joined(parts: readonly Uint8Array[], between?: Pause): Promise<Uint8Array<ArrayBuffer>> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let position = 0;
  for (const part of parts) {
    all.set(part, position);
    position += part.length;
    await between?.();
  }
  return all;
}
