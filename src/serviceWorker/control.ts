import type { PageMessage, Stored, TakeOver } from './messages.ts';

/** Whether the service worker has the page: its policy then holds for every worker, and the page may work offline. */
export type Control =
  | { readonly held: true; readonly registration: ServiceWorkerRegistration }
  | {
      readonly held: false;
      /** `insecure`: no service workers without https or localhost. `refused`: the browser doesn't allow or start it. */
      readonly why: 'development' | 'insecure' | 'refused';
      readonly detail: string;
    };

const SCRIPT = './serviceWorker.js';
/** A first visit waits this long at most for control, ms. */
const PATIENCE = 10_000;
const RELOADED = 'pacerid.reloaded';

/**
 * Puts the page under its service worker, before it shows anything: a document that came without headers is loaded once more, now with
 * them, from the cache or the host. Never rejects; where it isn't to be had, the page works without, and says so.
 */
export async function takeControl(): Promise<Control> {
  if (import.meta.env.DEV) return { held: false, why: 'development', detail: '' };
  // Absent on insecure origins and in some private windows.
  const container = navigator.serviceWorker as ServiceWorkerContainer | undefined;
  if (container === undefined) {
    return {
      held: false,
      why: isSecureContext ? 'refused' : 'insecure',
      detail: 'The browser has no service workers here.',
    };
  }
  try {
    const registration = await container.register(SCRIPT, { updateViaCache: 'none' });
    if (container.controller !== null && crossOriginIsolated) {
      forgetReload();
      return { held: true, registration };
    }
    if (await within(PATIENCE, crossOriginIsolated ? controlled(container) : active(registration))) {
      if (crossOriginIsolated) return { held: true, registration };
      if (markReload()) {
        location.reload();
        return await new Promise<never>(() => undefined);
      }
      // Reloaded, and still not isolated: framed by another page, or a browser that can't. Its workers are under the policy all the same.
      if (container.controller !== null) return { held: true, registration };
    }
    return { held: false, why: 'refused', detail: 'The service worker did not start.' };
  } catch (error) {
    return { held: false, why: 'refused', detail: error instanceof Error ? error.message : String(error) };
  }
}

/** Has what is missing of the page's files fetched; `onProgress` is told as it goes on. Resolves when no more comes. */
export function storePage(worker: ServiceWorker, onProgress: (stored: Stored) => void): Promise<void> {
  return new Promise((resolve) => {
    send<Stored>(worker, { type: 'store' }, (stored) => {
      onProgress(stored);
      if (stored.missing === 0 || stored.failure !== null) resolve();
    });
  });
}

/** Asks a newer service worker that waits to take over; the browser then fires `controllerchange`. Resolves with the tabs in its way. */
export function askToTakeOver(waiting: ServiceWorker): Promise<TakeOver> {
  return new Promise((resolve) => send<TakeOver>(waiting, { type: 'takeOver' }, resolve));
}

function send<Answer>(worker: ServiceWorker, message: PageMessage, onAnswer: (answer: Answer) => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }) => onAnswer(data as Answer);
  worker.postMessage(message, [port2]);
}

function active(registration: ServiceWorkerRegistration): Promise<void> {
  const worker = registration.active ?? registration.waiting ?? registration.installing;
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (worker === null || worker.state === 'redundant')
        reject(new Error('The service worker could not be installed.'));
      else if (worker.state === 'activated') resolve();
    };
    worker?.addEventListener('statechange', look);
    look();
  });
}

function controlled(container: ServiceWorkerContainer): Promise<void> {
  return new Promise((resolve) => {
    if (container.controller !== null) return resolve();
    container.addEventListener('controllerchange', () => resolve(), { once: true });
  });
}

async function within(ms: number, work: Promise<void>): Promise<boolean> {
  const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), ms));
  return Promise.race([work.then(() => true), late]);
}

/** True the first time in this tab; without storage never, so that nothing reloads for ever. */
function markReload(): boolean {
  try {
    if (sessionStorage.getItem(RELOADED) !== null) return false;
    sessionStorage.setItem(RELOADED, 'yes');
    return true;
  } catch {
    return false;
  }
}
function forgetReload(): void {
  try {
    sessionStorage.removeItem(RELOADED);
  } catch {
    // Storage is blocked, and nothing was marked.
  }
}
