import { askToTakeOver, storePage, type Control } from '../../serviceWorker/control.ts';
import type { Stored } from '../../serviceWorker/messages.ts';
import { announce } from './announce.svelte.ts';
import { isAwake } from './keepAwake.svelte.ts';
import { model } from './model.svelte.ts';
import { run } from './run.svelte.ts';
import { works } from './works.svelte.ts';

/** How often a page that stays open asks its own host for a newer build, ms. */
const LOOK_EVERY = 3_600_000;
/** The page draws itself first, ms. */
const AFTER = 1000;

/** Chromium's offer to install the page as an app; TypeScript's library doesn't know it. */
interface InstallOffer extends Event {
  prompt(): Promise<{ readonly outcome: 'accepted' | 'dismissed' }>;
}

let installOffer = $state.raw<InstallOffer | null>(null);
addEventListener('beforeinstallprompt', (event) => {
  // The page has a place of its own for it.
  event.preventDefault();
  installOffer = event as InstallOffer;
});

let control = $state.raw<Control | null>(null);
let stored = $state.raw<Stored | null>(null);
let waiting = $state.raw<ServiceWorker | null>(null);
let others = $state(0);
let leaving = $state(false);
/** The newer build has the page, which could not be reloaded just then. */
let taken = $state(false);
let looked = 0;

const registration = (): ServiceWorkerRegistration | null => (control?.held ? control.registration : null);
const busy = $derived(run.active || isAwake() || model.working !== null || works.any);

/** What the service worker is to this page: whether it works without a network, and whether there is a newer build. */
export const offline = {
  /** Null until it is known. */
  get control(): Control | null {
    return control;
  },
  /** All files of the page lie in the browser: it opens without a network. */
  get ready(): boolean {
    return stored !== null && stored.missing === 0;
  },
  get stored(): Stored | null {
    return stored;
  },
  /** The browser would install the page as an app. */
  get installable(): boolean {
    return installOffer !== null;
  },
  async install(): Promise<void> {
    const offer = installOffer;
    installOffer = null;
    await offer?.prompt();
  },
  /** A newer build is fetched whole, and waits. */
  get updateWaits(): boolean {
    return waiting !== null || taken;
  },
  /** A run, an import, a download or something of the model's is under way: nothing may reload the page. */
  get busy(): boolean {
    return busy;
  },
  /** Other tabs that showed the page when it was last to be updated. */
  get otherTabs(): number {
    return others;
  },
  get leaving(): boolean {
    return leaving;
  },

  begin(had: Control): void {
    control = had;
    const held = registration();
    if (held === null) return;
    looked = Date.now();
    watch(held);
    run.onEnded(() => void look(0));
    document.addEventListener('visibilitychange', () => void look(LOOK_EVERY));
    setInterval(() => void look(LOOK_EVERY), LOOK_EVERY / 4);
    setTimeout(() => void offline.store(), AFTER);
  },
  /** Fetches what is missing for a visit without a network. */
  async store(): Promise<void> {
    const worker = registration()?.active;
    if (!worker) return;
    const known = stored !== null;
    await storePage(worker, (now) => (stored = now));
    if (known && offline.ready) announce('This page now works without a network.');
  },
  /** Reloads into the newer build, unless other tabs still show this one. What is stored stays. */
  async update(): Promise<void> {
    if (busy) return;
    if (taken) return location.reload();
    if (waiting === null) return;
    leaving = true;
    const stay = new AbortController();
    const { signal } = stay;
    const reload = (): void => {
      // It may take until the last answer of the older one; somebody may have begun something meanwhile.
      taken = true;
      leaving = false;
      if (!busy) location.reload();
    };
    navigator.serviceWorker.addEventListener('controllerchange', reload, { once: true, signal });
    ({ others } = await askToTakeOver(waiting));
    if (others > 0) stay.abort();
    leaving = others === 0 && !taken;
  },
};

function watch(held: ServiceWorkerRegistration): void {
  const see = (worker: ServiceWorker | null): void => {
    worker?.addEventListener('statechange', () => {
      // A first one is active without ever having waited.
      waiting = held.waiting;
      if (waiting !== null && worker === waiting) announce('A newer version of this page is ready.');
    });
  };
  waiting = held.waiting;
  see(held.installing);
  held.addEventListener('updatefound', () => see(held.installing));
}

async function look(age: number): Promise<void> {
  if (Date.now() - looked < age || document.visibilityState === 'hidden' || !navigator.onLine) return;
  looked = Date.now();
  await registration()
    ?.update()
    .catch(() => undefined);
}
