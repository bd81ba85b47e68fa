import AxeBuilder from '@axe-core/playwright';
import { expect, test, type Page } from '@playwright/test';

/** WCAG 2.0 to 2.2, A and AA; axe-core's best practices; and what is new in it, label-content-name-mismatch among it. */
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa', 'best-practice', 'experimental'];
const ofColours = ['color-contrast', 'link-in-text-block'];
/** The one rule that is left out guesses what looks like a heading: it takes the one large figure of a view for one. */
const guess = 'p-as-heading';
const desktop = { width: 1440, height: 900 };
const phone = { width: 390, height: 844 };
/**
 * A scheme changes colours and nothing else, so all other rules are asked once a size. axe-core judges the colours of what is in
 * sight alone: for them the screens are so high that nothing has to be scrolled.
 */
const looks = [
  { on: 'desktop', size: desktop, colorScheme: 'dark', coloursOnly: false },
  { on: 'desktop', size: { ...desktop, height: 3000 }, colorScheme: 'dark', coloursOnly: true },
  { on: 'desktop', size: { ...desktop, height: 3000 }, colorScheme: 'light', coloursOnly: true },
  { on: 'phone', size: { ...phone, height: 5000 }, colorScheme: 'light', coloursOnly: true },
  { on: 'phone', size: { ...phone, height: 5000 }, colorScheme: 'dark', coloursOnly: true },
  { on: 'phone', size: phone, colorScheme: 'dark', coloursOnly: false },
] as const;

export interface State {
  readonly name: string;
  /** From the state before to this one, on a desktop; ends with something of it in sight. */
  readonly reach: (page: Page) => Promise<unknown>;
  /** Where something was opened over the view: closes it again. */
  readonly leave?: (page: Page) => Promise<unknown>;
}

/** One after the other on the same page, each judged in all looks; all of what is found is told at the end. */
export async function judge(page: Page, states: readonly State[]): Promise<void> {
  for (const { name, reach, leave } of states)
    await test.step(name, async () => {
      await reach(page);
      await expectNoViolation(page, name);
      await leave?.(page);
    });
}

/** The page as it stands, dark and light, on a desktop and on a phone. */
export async function expectNoViolation(page: Page, name: string): Promise<void> {
  for (const { on, size, colorScheme, coloursOnly } of looks) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    expect.soft(await violationsOf(page, coloursOnly), `${name}, ${on}, ${colorScheme}`).toEqual([]);
    expect.soft(await scrollOf(page), `${name}, ${on}, scrolls as a whole`).toEqual([0, 0]);
  }
  await page.setViewportSize(desktop);
}

/** By how many pixels the document is wider and higher than the window: what scrolls is within the frame. */
export function scrollOf(page: Page): Promise<number[]> {
  return page.evaluate(() => {
    const { scrollWidth, scrollHeight } = document.documentElement;
    return [Math.max(0, scrollWidth - innerWidth), Math.max(0, scrollHeight - innerHeight)];
  });
}

/** One line a rule and element: what is wrong, where, and what would put it right. */
export async function violationsOf(page: Page, coloursOnly = false): Promise<string[]> {
  // AxeBuilder hands its half megabyte to the page twice a question; once a page is enough.
  const known = await page.evaluate(() => 'axe' in globalThis);
  // One document without frames: in its “legacy” mode axe-core need not open a second page to gather what frames say.
  const axe = new AxeBuilder({ page, ...(known && { axeSource: 'undefined' }) })
    .setLegacyMode()
    .options({ resultTypes: ['violations'] });
  const { violations } = await (
    coloursOnly ? axe.withRules(ofColours) : axe.withTags(tags).disableRules(guess)
  ).analyze();
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary = '' }) => `${id} at ${target.join(' ')}: ${help}. ${failureSummary}`),
  );
}
