import { panels } from './state/panels.svelte.ts';
import { singleKeys } from './state/singleKeys.svelte.ts';
import { go, stepNames, stepTitles } from './state/navigation.svelte.ts';

/** For the list that `?` shows. */
export const keyList: readonly { readonly keys: string; readonly does: string }[] = [
  ...stepNames.map((step, index) => ({ keys: String(index + 1), does: `Go to ${stepTitles[step]}` })),
  { keys: 'S', does: 'Settings' },
  { keys: 'C', does: 'This computer' },
  { keys: '?', does: 'This list' },
  { keys: 'Esc', does: 'Close what lies on top' },
  { keys: '← ↑ → ↓', does: 'Move in the gallery; Enter opens the image, + and − zoom it' },
  { keys: 'L', does: 'Train: loss on a logarithmic scale' },
];

/** A choice takes no letters or digits. */
const typedInto = 'input:not([type=radio], [type=checkbox]), select, textarea, [contenteditable]';

/** Single keys count only where they are wanted, no text is being typed and nothing lies on top. */
export function countsAsKey(event: KeyboardEvent): boolean {
  if (!singleKeys.on || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return false;
  const { target } = event;
  if (target instanceof Element && target.closest(typedInto)) return false;
  return document.querySelector('dialog[open]') === null;
}

export function onPageKey(event: KeyboardEvent): void {
  if (!countsAsKey(event)) return;
  const step = stepNames[Number(event.key) - 1];
  if (step) go(step);
  else if (event.key === '?') panels.show('keys');
  else if (event.key === 's' || event.key === 'S') panels.show('settings');
  else if (event.key === 'c' || event.key === 'C') panels.show('computer');
  else return;
  event.preventDefault();
}
