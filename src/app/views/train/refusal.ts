import type { ConfigIssue } from '../../../config/errors.ts';

/** Settings that others are refused for: what their fields are called. */
const names: Readonly<Record<string, string>> = {
  'training.momentum': 'Momentum',
  'training.nesterov': 'Nesterov',
};
/** What a file calls it, and what it is on the page. */
const words = [
  [' (text)', ''],
  ['nothing (null)', 'empty'],
  [', or null', ', or nothing'],
  [' in brackets', ''],
  [' to false', ' to off'],
] as const;

/** What stands in a field: a number, the text where it is none, null where nothing does. */
export function typed(text: string): number | string | null {
  const trimmed = text.trim();
  if (trimmed === '') return null;
  return Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
}

/** Why a setting was refused, beside its field: in the page's words, without paths of the configuration. Empty: it was not. */
export function refusal(issues: readonly ConfigIssue[], labels: Readonly<Record<string, string>> = {}): string {
  const said = [...Object.entries({ ...names, ...labels }), ...words];
  return issues
    .map(({ message }) => said.reduce((text, [written, meant]) => text.replaceAll(written, meant), message))
    .join(' ');
}
