import { LinkError } from '../../config/errors.ts';
import { readLink, type Link } from '../../config/link.ts';
import { problems } from './problems.svelte.ts';

const { link, issues } = readLink(location.search);
if (issues.length > 0) problems.showError(new LinkError(issues));

/** What the page was opened with; what is wrong in it has been said. */
export const address: Link = link;

/** The address names a step: the page was reloaded there, or the link leads there. */
export const namesStep = location.hash.length > 1;
