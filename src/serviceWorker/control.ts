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
/** Between its start and its having the page, ms. */
const CLAIM = 1000;
/** A file may take this long, ms. */
const SILENCE = 60_000;
/** Who reloads without the service worker, by Shift, gets it back; ms. */
const AGAIN = 15_000;
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
    const registering = container.register(SCRIPT, { updateViaCache: 'none' });
    // A page that it has already doesn't wait for a look at the host.
    const known = isOurs(container) ? await container.getRegistration() : undefined;
    const registration = known ?? (await inTime(registering));
    registering.catch(() => undefined);
    if (!isOurs(container) || !crossOriginIsolated) {
      const ready = await within(PATIENCE, active(registration));
      // One that has just started takes the page by itself; one that was there before does so when the page is loaded.
      const complete = crossOriginIsolated && (await within(CLAIM, controlled(container)));
      if (ready && !complete && markReload()) {
        location.reload();
        return await new Promise<never>(() => undefined);
      }
    }
    // Reloaded, it may still not be isolated: framed by another page, or in a browser that can't. Its workers are under the policy
    // all the same.
    if (isOurs(container)) return { held: true, registration };
    return { held: false, why: 'refused', detail: 'The service worker did not start.' };
  } catch (error) {
    return { held: false, why: 'refused', detail: error instanceof Error ? error.message : String(error) };
  }
}

/** Has what is missing of the page's files fetched; `onProgress` is told as it goes on. Resolves when no more comes. */
export function storePage(worker: ServiceWorker, onProgress: (stored: Stored) => void): Promise<void> {
  return new Promise((resolve) => {
    let last: Stored = { files: 0, missing: 1, failure: null };
    let timer: ReturnType<typeof setTimeout> | undefined;
    const tell = (stored: Stored): void => {
      clearTimeout(timer);
      onProgress((last = stored));
      if (stored.missing === 0 || stored.failure !== null) return resolve();
      // A browser ends a service worker that works for long, and tells nobody.
      timer = setTimeout(() => tell({ ...last, failure: 'nothing came for a minute' }), SILENCE);
    };
    send<Stored>(worker, { type: 'store' }, tell);
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

/** A page in a folder above has a service worker, too, and would hand this one its own. */
function isOurs({ controller }: ServiceWorkerContainer): boolean {
  return controller?.scriptURL === new URL(SCRIPT, document.baseURI).href;
}

function controlled(container: ServiceWorkerContainer): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!isOurs(container)) return;
      container.removeEventListener('controllerchange', look);
      resolve();
    };
    container.addEventListener('controllerchange', look);
    look();
  });
}

async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), ms));
  return Promise.race([work.then(() => true), late]);
}

async function inTime(registering: Promise<ServiceWorkerRegistration>): Promise<ServiceWorkerRegistration> {
  if (!(await within(PATIENCE, registering))) throw new Error('The host does not hand out serviceWorker.js.');
  return registering;
}

/** Once in a while in this tab; without storage never, so that nothing reloads for ever. */
function markReload(): boolean {
  try {
    const last = Number(sessionStorage.getItem(RELOADED) ?? 0);
    if (Date.now() - last < AGAIN) return false;
    sessionStorage.setItem(RELOADED, String(Date.now()));
    return true;
  } catch {
    return false;
  }
}
