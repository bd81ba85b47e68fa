import { LinkError } from '../../config/errors.ts';
import { readLink, type Link } from '../../config/link.ts';
import { problems } from './problems.svelte.ts';
import { recall, remember } from './remembered.ts';

const { link, issues } = readLink(location.search);
if (issues.length > 0) problems.showError(new LinkError(issues));

/** What the page was opened with; what is wrong in it has been said. */
export const address: Link = link;

/** The address names a step: the link leads there, or the page was reloaded there. */
export const namesStep = location.hash.length > 1;

const KEY = 'pacerid.link';

/** This tab has done what the address asks for, and was reloaded: what the user has chosen since stays. */
export const doneBefore = isReload() && recall(KEY, 'tab') === location.search;

/** The address has been seen to. */
export function addressDone(): void {
  remember(KEY, location.search, 'tab');
}

function isReload(): boolean {
  const [entry] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[];
  return entry !== undefined && entry.type !== 'navigate';
}
