/** Figures of training and evaluation, beside the page's own in `format.ts`. */
import { percent } from '../../format.ts';

/** A share that may be undefined (no image, no prediction). */
export function share(value: number | null | undefined, digits = 1): string {
  return value === null || value === undefined || Number.isNaN(value) ? '–' : percent(value, digits);
}

/** Probabilities: small ones are not rounded to nothing. */
export function probability(value: number): string {
  if (value > 0 && value < 0.0005) return '< 0.1\u00a0%';
  return percent(value);
}

/** Loss in nats. */
export function nats(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  if (!Number.isFinite(value)) return 'not a number';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 0.001) return value.toExponential(1);
  return value.toFixed(size < 0.1 ? 4 : size < 10 ? 3 : 1);
}

/** `88.1–95.3 %` */
export function interval([low, high]: readonly [number, number]): string {
  return `${(low * 100).toFixed(1)}–${percent(high)}`;
}

/** `14:05` today, `23 Nov, 14:05` on other days, in local time. */
export function clock(at: number): string {
  const date = new Date(at);
  const time = `${String(date.getHours()).padStart(2, '0')}:${String(date.getMinutes()).padStart(2, '0')}`;
  if (date.toDateString() === new Date().toDateString()) return time;
  return `${date.getDate()} ${date.toLocaleString('en', { month: 'short' })}, ${time}`;
}
