import type { Page } from '@playwright/test';
import type { StoredPage } from './storedPage.ts';

/** Path of a Test image → label → probability. */
type Predictions = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** What the page that stored it showed. */
export interface Recorded {
  /** Share of the Test split that the newest run had right. */
  readonly accuracy: number;
  /** By the newest run. */
  readonly predictions: Predictions;
  readonly versions: readonly string[];
}
export interface StoredFixture {
  readonly page: { readonly commit: string; readonly date: string; readonly subject: string };
  readonly recorded: Recorded;
  readonly stored: StoredPage;
}

/** What Try says of each Test image that it offers. Works on the page of every commit that a fixture is of. */
export async function predictionsInTry(page: Page): Promise<Predictions> {
  const pictures = page.locator('[data-test-image]');
  await pictures.first().waitFor({ timeout: 20_000 });
  const said: Record<string, Record<string, number>> = {};
  for (let i = 0; i < (await pictures.count()); i++) {
    const path = (await pictures.nth(i).getAttribute('data-test-image')) ?? '';
    await pictures.nth(i).click();
    await page
      .getByTestId('prediction')
      .locator('figcaption', { hasText: `of ${path}:` })
      .waitFor({ timeout: 20_000 });
    const rows = await page
      .locator('[data-testid=prediction] li[data-label]')
      .evaluateAll((list) =>
        list.map((li) => [li.getAttribute('data-label'), Number(li.getAttribute('data-probability'))]),
      );
    said[path] = Object.fromEntries(rows) as Record<string, number>;
  }
  return said;
}
