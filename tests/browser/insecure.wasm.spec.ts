import { expect, test } from '@playwright/test';
import { fewSteps, goTo, queryOf, startTraining, testAccuracy, useSample } from './support.ts';

/** A host name that is not localhost, without TLS: what an intranet server without a certificate is to a browser. */
const intranet = 'intranet.test';
test.use({
  launchOptions: async ({ launchOptions }, use) =>
    use({
      ...launchOptions,
      args: [...(launchOptions.args ?? []), `--host-resolver-rules=MAP ${intranet} 127.0.0.1`],
    }),
});

test('on an insecure origin the page says what is missing, trains on wasm and exports all the same', async ({
  page,
  baseURL,
}) => {
  const { port } = new URL(baseURL ?? '');
  await page.goto(`http://${intranet}:${port}/?${queryOf(fewSteps)}`);
  const has = await page.evaluate(() => ({
    secure: isSecureContext,
    gpu: 'gpu' in navigator,
    locks: 'locks' in navigator,
    subtle: 'subtle' in crypto,
  }));
  expect(has).toEqual({ secure: false, gpu: false, locks: false, subtle: false });

  await page.getByRole('button', { name: 'This computer', exact: true }).click();
  await expect(page.getByText(/https:\/\//).first()).toBeVisible();
  await page.keyboard.press('Escape');
  await useSample(page);
  await startTraining(page);
  await testAccuracy(page, 120_000);
  await goTo(page, 'Export');
  const downloading = page.waitForEvent('download');
  await page.getByRole('button', { name: /^Download/ }).click();
  expect((await downloading).suggestedFilename()).toBe('PacerIDClassifier.mlpackage.zip');
});
