import type { Answers, Order } from './orders.worker.ts';

/** Has an order worked off in a worker of its own. */
function work<Kind extends keyof Answers>(order: Order<Kind>): Promise<Answers[Kind]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./orders.worker.ts', import.meta.url), { type: 'module' });
    worker.onerror = (event) => reject(new Error(event.message || 'The worker could not be loaded.'));
    worker.onmessage = ({ data }: MessageEvent<Answers[Kind] | { readonly failed: string }>) => {
      worker.terminate();
      if ('failed' in data) reject(new Error(data.failed));
      else resolve(data);
    };
    worker.postMessage(order);
  });
}

export type Work = typeof work;

Object.assign(globalThis, { work });
