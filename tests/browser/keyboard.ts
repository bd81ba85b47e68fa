import { expect, type JSHandle, type Locator, type Page } from '@playwright/test';

type Role = Parameters<Page['getByRole']>[0];
type Name = string | RegExp;

/** Presses of Tab at most on the way to something; a view has half as many stops. */
const MOST = 80;

/** What has focus, in words; what is wrong with how that is shown; its place in the list, -1 outside. */
interface Focus {
  readonly what: string;
  readonly faults: readonly string[];
  readonly at: number;
}

/** Looked at in the page: in sight, not covered, and with a ring, or a mark beside words that are no control. */
async function focusNow(page: Page, list: JSHandle<HTMLElement[]> | null = null): Promise<Focus> {
  return page.evaluate((elements) => {
    const element = document.activeElement;
    if (!(element instanceof HTMLElement) || element === document.body) return { what: 'nothing', faults: [], at: -1 };
    const labels = element instanceof HTMLInputElement ? [...(element.labels ?? [])] : [];
    const name = element.getAttribute('aria-label') ?? [...labels, element][0]?.textContent ?? '';
    const role = element.getAttribute('role') ?? element.tagName.toLowerCase();
    const box = element.getBoundingClientRect();
    const left = Math.max(box.left, 0);
    const right = Math.min(box.right, innerWidth);
    const top = Math.max(box.top, 0);
    const bottom = Math.min(box.bottom, innerHeight);
    const spots = [0.1, 0.5, 0.9].flatMap((x) => [0.1, 0.5, 0.9].map((y) => [x, y] as const));
    const inSight = spots.some(([x, y]) =>
      element.contains(document.elementFromPoint(left + x * (right - left), top + y * (bottom - top))),
    );
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
    const ringed = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
    return {
      what: `${role} “${name.trim().replace(/\s+/g, ' ').slice(0, 60)}”`,
      faults: [
        ...(left < right && top < bottom && inSight ? [] : ['is out of sight']),
        ...(ringed || (element.tabIndex < 0 && boxShadow !== 'none') ? [] : ['has no ring']),
      ],
      at: elements?.indexOf(element) ?? -1,
    };
  }, list);
}

function focused(page: Page, role: Role, name: Name): Locator {
  return page.getByRole(role, { name, exact: typeof name === 'string' }).and(page.locator(':focus'));
}

/** This has focus, and shows it. */
export async function expectFocus(page: Page, role: Role, name: Name): Promise<void> {
  await expect(focused(page, role, name), `focus on ${role} ${String(name)}`).toHaveCount(1);
  const { what, faults } = await focusNow(page);
  expect(faults, `${what} has focus`).toEqual([]);
}

/** Tab until this has focus; everything on the way has to show that it has it. */
export async function tabTo(page: Page, role: Role, name: Name, key: 'Tab' | 'Shift+Tab' = 'Tab'): Promise<void> {
  const passed: string[] = [];
  while (passed.length < MOST) {
    await page.keyboard.press(key);
    const { what, faults } = await focusNow(page);
    expect(faults, `${what} has focus`).toEqual([]);
    passed.push(what);
    if ((await focused(page, role, name).count()) > 0) return;
  }
  throw new Error(`${key} does not come to ${role} ${String(name)}. It passed:\n  ${passed.join('\n  ')}`);
}

/**
 * Tab all the way round: it comes to each thing that can be used, and leads back to where it began. Where a dialog lies on top, that
 * means what is in the dialog.
 */
export async function tabRound(page: Page): Promise<void> {
  const usable = await page.evaluateHandle(() => {
    const within = document.querySelector('dialog:modal') ?? document.body;
    const all = within.querySelectorAll<HTMLElement>('a[href], button, input, select, textarea, summary, [tabindex]');
    return [...all].filter(
      (element) =>
        element.tabIndex >= 0 &&
        !element.matches(':disabled') &&
        element.checkVisibility({ visibilityProperty: true }) &&
        // Of a group of radio buttons the chosen one.
        !(element instanceof HTMLInputElement && element.type === 'radio' && !element.checked),
    );
  });
  const tags = await usable.evaluate((all) => all.map(({ outerHTML }) => outerHTML.slice(0, 160)));
  const order: number[] = [];
  const passed: string[] = [];
  for (let presses = 0; presses < tags.length + 20; presses++) {
    await page.keyboard.press('Tab');
    const { what, faults, at } = await focusNow(page, usable);
    expect(faults, `${what} has focus`).toEqual([]);
    if (at >= 0 && at === order[0]) {
      const never = tags.filter((_, i) => !order.includes(i));
      expect(never, 'what Tab does not come to').toEqual([]);
      return;
    }
    if (at >= 0) order.push(at);
    passed.push(at >= 0 ? what : `${what}, which was not there before`);
  }
  throw new Error(`Tab does not lead back. It passed:\n  ${passed.join('\n  ')}`);
}
