import { appendFileSync } from 'node:fs';
import { expect } from 'vitest';

/** One row of the table in docs/correctness.md. */
export interface Judged {
  /** `loss of 20 steps, all layers, Adam 1e-5` */
  readonly quantity: string;
  /** `densenet121`; a dash where none is meant. */
  readonly network: string;
  /** `wasm`, `webgpu`, `processor` (plain TypeScript). */
  readonly on: string;
  /** The largest error found, in the quantity's own measure. */
  readonly error: number;
  readonly tolerance: number;
  /** How far torch's own float32 is from its float64 in the same quantity; absent where nothing is rounded. */
  readonly spread?: number;
  /** The command that shows it. */
  readonly command: string;
}

/**
 * Fails where the error is above the tolerance (or is none at all). `npm run verify -- correctness` gathers the rows: it names a
 * file in PACERID_CORRECTNESS, and each row becomes a line of JSON there.
 */
export function judged(row: Judged): void {
  const file = process.env['PACERID_CORRECTNESS'];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(row)}\n`);
  expect(row.error, `${row.quantity}, ${row.network}, ${row.on}`).toBeLessThanOrEqual(row.tolerance);
}
