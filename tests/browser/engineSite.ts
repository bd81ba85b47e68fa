import { join, resolve } from 'node:path';
import type { Page } from '@playwright/test';
import { build } from 'vite';
import { policyHeaders } from '../../src/serviceWorker/policy.ts';
import type { Answers, Order } from './engineSite/orders.worker.ts';
import type { Work } from './engineSite/page.ts';
import { staticSite, type StaticSite } from './staticSite.ts';

export type { Answers, Order };

/** A page that has nothing but the engine in workers, isolated and under the product's own policy by its server's headers. */
export async function engineSite(
  answer?: NonNullable<Parameters<typeof staticSite>[1]>['answer'],
): Promise<StaticSite> {
  const folder = resolve('output/engineSite');
  await build({
    configFile: false,
    root: join(process.cwd(), 'tests/browser/engineSite'),
    base: './',
    publicDir: false,
    logLevel: 'error',
    worker: { format: 'es' },
    build: { outDir: folder, emptyOutDir: true, chunkSizeWarningLimit: 4000 },
  });
  return staticSite(folder, {
    answer: (path, request, response) => {
      for (const [name, value] of Object.entries(policyHeaders)) response.setHeader(name, value);
      return answer?.(path, request, response) ?? false;
    },
  });
}

/** Has an order worked off in a worker of that page. */
export function ordered<Kind extends keyof Answers>(page: Page, order: Order<Kind>): Promise<Answers[Kind]> {
  return page.evaluate(
    (sent) => (globalThis as unknown as { work: Work }).work(sent as Order<never>) as Promise<Answers[Kind]>,
    order,
  );
}
