import type { RunEvent } from '../../training/events.ts';

/**
 * Run events as lines of JSON: the log on disk and what `--json` writes. Probabilities become plain numbers, with the nine digits that
 * tell any two float32 apart.
 */
export function eventLine(event: object): string {
  const text = JSON.stringify(event, (_, value: unknown) =>
    value instanceof Float32Array ? Array.from(value, (x) => Number(x.toPrecision(9))) : value,
  );
  return `${text}\n`;
}

/** Reads a log back. Throws where a line is no JSON; the caller has dropped a last line that was cut off. */
export function eventsOf(text: string): RunEvent[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line, revive) as RunEvent);
}

function revive(key: string, value: unknown): unknown {
  // JSON has no NaN: a loss that was none lies there as null.
  if (key === 'loss' && value === null) return NaN;
  return key === 'probabilities' && Array.isArray(value)
    ? Float32Array.from(value as (number | null)[], (p) => p ?? NaN)
    : value;
}
